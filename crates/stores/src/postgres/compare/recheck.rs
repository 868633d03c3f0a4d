//! Rows that a link changed, compared again: each is read by its key at both sides, as both were at
//! one position.
//!
//! It says nothing of other rows, so nothing is proved equal by it. The link stands still only until
//! both snapshots are taken.

use super::given_up::Watch;
use super::merge::{self, Found};
use super::settled::{self, Bytes};
use super::shape;
use super::table::{Locked, Side, still_the_same};
use super::{Held, TableComparison, pause_and_read, scan, side};
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::link::{Changed, Key};
use crate::postgres::snapshot::Snapshot;
use crate::postgres::text::literals;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The link stands still no longer than this for transactions that are writing at the source.
const STANDING: Duration = Duration::from_secs(1);
/// What is not read by then is left unread.
const READING: Duration = Duration::from_secs(10);
/// Keys that one statement names.
const CHUNK: usize = 500;
/// Tables that are listed, and keys of each. The others are only counted.
const LISTED: usize = 10;
const NAMED: usize = 5;

const SETTINGS: &str = "SET statement_timeout = '10s'; SET max_parallel_workers_per_gather = 0; \
                        SET client_connection_check_interval = '1s'";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rechecked {
    /// Both sides were read as they were here, by the source's history.
    pub position: Lsn,
    /// Changes of rows that the link applied since it was asked last.
    pub changes: u64,
    /// Rows that were read at both sides, or that neither has.
    pub rows: u64,
    /// Changes whose rows were not read: there were too many, or they have no key.
    pub unread: u64,
    pub differing_rows: u64,
    pub differing_tables: u64,
    /// The first of those.
    pub differing: Vec<TableComparison>,
    /// How long the link stood still.
    pub stood_ms: u64,
}

/// Compares what was changed until the link stands still; `changed` is asked then. What fails before
/// that leaves it for the next time.
pub async fn run<H: Held>(
    source: &PostgresEndpoint,
    target: &PostgresEndpoint,
    held: H,
    changed: impl FnOnce(&H) -> Changed,
) -> Result<Rechecked, Fault> {
    let began = Instant::now();
    let Snapshot { position, session } = Snapshot::take_within(STANDING, source, "recheck").await?;
    let here = Watch::over(&session, source);
    let standing = pause_and_read(target, position, held, "recheck", changed);
    let (source, (target, there, changed)) = tokio::try_join!(side(session), standing)?;
    let mut rechecked = Rechecked {
        position,
        changes: changed.changes,
        rows: 0,
        unread: changed.changes - changed.noted,
        differing_rows: 0,
        differing_tables: 0,
        differing: Vec::new(),
        stood_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    for Side { session, .. } in [&source, &target] {
        session.batch("prepare to compare", SETTINGS).await?;
    }
    let bytes = settled::settle(&source.session, &target.session).await?.bytes;
    let mut reading = Reading { sides: (&source, &target), bytes, found: BTreeMap::new() };
    for chunk in chunks(&changed) {
        let in_time = began.elapsed() < READING;
        if in_time && reading.chunk(&chunk).await? {
            rechecked.rows += chunk.keys.len() as u64;
        } else {
            rechecked.unread += chunk.keys.len() as u64;
        }
    }
    rechecked.tell(reading.found);
    here.finished();
    there.finished();
    Ok(rechecked)
}

impl Rechecked {
    pub fn is_different(&self) -> bool {
        self.differing_rows > 0
    }

    fn tell(&mut self, found: BTreeMap<String, TableComparison>) {
        for table in found.into_values() {
            self.differing_rows += table.differences;
            self.differing_tables += 1;
            if self.differing.len() < LISTED {
                self.differing.push(table);
            }
        }
    }
}

struct Chunk<'a> {
    name: &'a str,
    columns: &'a [String],
    keys: Vec<&'a Key>,
}

/// In no order, so that no table is always left unread when there is not enough time.
fn chunks(changed: &Changed) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    for ((name, columns), keys) in &changed.tables {
        let keys: Vec<_> = keys.iter().collect();
        chunks.extend(keys.chunks(CHUNK).map(|keys| Chunk { name, columns, keys: keys.to_vec() }));
    }
    chunks.shuffle(&mut rand::rng());
    chunks
}

struct Reading<'a> {
    sides: (&'a Side, &'a Side),
    bytes: Bytes,
    /// Tables in which rows differ.
    found: BTreeMap<String, TableComparison>,
}

impl Reading<'_> {
    /// Says whether the rows were read. Not those of a table that is not the same at both sides, or
    /// has changed since the snapshots, or is locked: that is for a whole comparison to tell.
    async fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<bool, Fault> {
        let Some((here, there)) = self.table(chunk) else { return Ok(false) };
        let (source, target) = self.sides;
        let locked = Locked::begin([&source.session, &target.session]).await?;
        let read = self.rows(here, there, &chunk.keys).await;
        locked.end().await?;
        match read {
            Ok(read) if read.is_equal() => Ok(true),
            Ok(read) => {
                self.found.entry(read.table.clone()).or_default().add(read);
                Ok(true)
            }
            Err(why) => {
                tracing::debug!(table = chunk.name, %why, "rows were not compared again");
                Ok(false)
            }
        }
    }

    fn table(&self, chunk: &Chunk<'_>) -> Option<(&'_ Table, &'_ Table)> {
        let (source, target) = self.sides;
        let (here, there) = (source.tables.get(chunk.name)?, target.tables.get(chunk.name)?);
        let unlike = shape::unlike((&source.shapes, here.oid), (&target.shapes, there.oid));
        (unlike.is_none() && here.key == chunk.columns).then_some((here, there))
    }

    /// What it finds counts only when the tables are still those of the snapshots.
    async fn rows(
        &self,
        here: &Table,
        there: &Table,
        keys: &[&Key],
    ) -> Result<TableComparison, Fault> {
        let (source, target) = (&self.sides.0.session, &self.sides.1.session);
        let within = format!("({}) IN ({})", list(&here.key), literals(keys));
        let (left, right) = tokio::try_join!(
            scan::begin(source, here, &within, self.bytes),
            scan::begin(target, here, &within, self.bytes)
        )?;
        let mut comparison =
            TableComparison { table: here.name.clone(), ..TableComparison::default() };
        let mut found = Found { table: here, comparison: &mut comparison, listener: &mut () };
        merge::merge(&mut found, left, right).await?;
        tokio::try_join!(still_the_same(source, here), still_the_same(target, there))?;
        Ok(comparison)
    }
}

impl TableComparison {
    /// Other rows of the same table.
    fn add(&mut self, other: Self) {
        let room = NAMED.saturating_sub(self.differing.len());
        self.table = other.table;
        self.differences += other.differences;
        self.differing.extend(other.differing.into_iter().take(room));
    }
}
