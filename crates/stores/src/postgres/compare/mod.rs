//! Comparison: whether two sides of a link hold the same rows, with the position at which that was
//! true.
//!
//! Both sides are read as of one position while writes go on: the source by a snapshot that says
//! its position, the target by a snapshot taken while its link stands still exactly there.
//!
//! Each side first adds up a digest for each range of a table's key, in one pass and in parallel
//! where the server can; only ranges whose digests differ are then read row by row, in the order
//! of their keys. Memory is bounded either way.
//!
//! Invariant: an answer is only given when every row of both sides was read to the end. Whatever
//! comes in between is an error, and the answer is unknown.

mod digest;
mod encoding;
mod merge;
mod ranges;
mod scan;
mod sequence;

use super::catalog::{self, Table};
use super::fault::Fault;
use super::session::Session;
use super::snapshot::{self, Snapshot};
use digest::Seeds;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use merge::Found;
use ranges::Ranges;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Instant;

pub use merge::{Difference, Kind};
pub use sequence::SequenceDifference;

/// A link that stands still: what ends later than its target's position is not applied until this
/// is dropped. It must be held before the comparison begins, for the position is chosen then.
pub trait Held: Send {
    /// Applies everything that ends at or before `at`, and nothing later; or says why it cannot.
    fn advance_to(&mut self, at: Lsn) -> impl Future<Output = Result<(), String>> + Send;
}

/// Is told of what the comparison finds, as it finds it.
pub trait Listener: Send {
    /// A row of a table (`schema.table`) that has a key. What fails ends the comparison.
    fn found(&mut self, table: &str, difference: &Difference) -> std::io::Result<()>;
}

/// Nobody listens.
impl Listener for () {
    fn found(&mut self, _: &str, _: &Difference) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Both sides were read as they were here, by the source's history.
    pub position: Lsn,
    /// Every row of every table. Sequences are told apart: they are moved at a promotion.
    pub equal: bool,
    pub tables: Vec<TableComparison>,
    pub sequences: Vec<SequenceDifference>,
    /// Of the tables as they are stored, both sides together.
    pub bytes: u64,
    pub seconds: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableComparison {
    /// `schema.table`.
    pub table: String,
    pub rows_source: u64,
    pub rows_target: u64,
    pub differences: u64,
    /// The first of them.
    pub differing: Vec<Difference>,
    /// Why the tables could not be compared row by row: they differ themselves.
    pub unlike: Option<String>,
    /// No key tells its rows apart.
    #[serde(default)]
    pub keyless: bool,
}

impl TableComparison {
    pub fn is_equal(&self) -> bool {
        self.differences == 0 && self.unlike.is_none()
    }

    /// Why what differs cannot be repaired row by row.
    pub fn beyond_repair(&self) -> Option<String> {
        let keyless = self.keyless && self.differences > 0;
        let no_key = || "its rows differ, and it has no key to tell them apart by".to_owned();
        self.unlike.clone().or_else(|| keyless.then(no_key))
    }
}

/// Compares every table. `held` is given back its freedom as soon as the target's snapshot is
/// taken, long before the rows are read.
pub async fn run(
    source: &PostgresEndpoint,
    target: &PostgresEndpoint,
    held: impl Held,
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    let began = Instant::now();
    let source = Snapshot::take(source, "comparison").await?;
    let (target, there) = pause_and_read(target, source.position, held).await?;
    let mut comparison = between(&source, (&target, &there), listener).await?;
    comparison.seconds = began.elapsed().as_secs_f64();
    Ok(comparison)
}

/// Compares a source with a target that stands at its position.
pub(super) async fn between(
    source: &Snapshot,
    (target, there): (&Session, &Tables),
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    let began = Instant::now();
    for session in [&source.session, target] {
        session.batch("prepare to compare", "SET work_mem = '64MB'").await?;
    }
    let here = catalog::tables(&source.session).await?;
    let mut comparison = Comparison {
        position: source.position,
        equal: true,
        tables: Vec::new(),
        sequences: Vec::new(),
        bytes: 0,
        seconds: 0.0,
    };
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    for name in names {
        let (table, bytes) = one(name, (&source.session, &here), (target, there), listener).await?;
        comparison.equal &= table.is_equal();
        comparison.bytes += bytes;
        comparison.tables.push(table);
    }
    comparison.sequences = sequence::differences(&source.session, target).await?;
    comparison.seconds = began.elapsed().as_secs_f64();
    Ok(comparison)
}

type Tables = BTreeMap<String, Table>;

/// The target as it is when the link stands at `at`. Its first query, for the tables, is what takes
/// the snapshot.
async fn pause_and_read(
    target: &PostgresEndpoint,
    at: Lsn,
    mut held: impl Held,
) -> Result<(Session, Tables), Fault> {
    let session = snapshot::reading(target, "comparison").await?;
    held.advance_to(at).await.map_err(|why| interrupted(&session, why))?;
    let tables = catalog::tables(&session).await?;
    drop(held);
    Ok((session, tables))
}

fn interrupted(session: &Session, why: String) -> Fault {
    Fault::ComparisonInterrupted { place: session.place().to_owned(), why }
}

/// One table at both sides, and how many bytes were read for it.
async fn one(
    name: &str,
    (source, here): (&Session, &Tables),
    (target, there): (&Session, &Tables),
    listener: &mut dyn Listener,
) -> Result<(TableComparison, u64), Fault> {
    let unlike = |why: &str| TableComparison {
        table: name.to_owned(),
        unlike: Some(why.to_owned()),
        ..TableComparison::default()
    };
    match (here.get(name), there.get(name)) {
        (Some(here), Some(there)) if here.columns != there.columns => {
            Ok((unlike("the tables have different columns"), 0))
        }
        (Some(here), Some(_)) => rows(here, source, target, listener).await,
        (Some(_), None) => Ok((unlike("the table is missing at the target"), 0)),
        (None, _) => Ok((unlike("the table is missing at the source"), 0)),
    }
}

/// The rows of a table that both sides have. The same statements run at both of them, so that
/// their texts mean the same.
async fn rows(
    table: &Table,
    source: &Session,
    target: &Session,
    listener: &mut dyn Listener,
) -> Result<(TableComparison, u64), Fault> {
    let (ranges, seeds) = (Ranges::of(source, table).await?, Seeds::random());
    let row = encoding::row(source, table).await?;
    let (left, right) = tokio::try_join!(
        digest::read(source, table, &ranges, &row, seeds),
        digest::read(target, table, &ranges, &row, seeds)
    )?;
    let mut comparison = TableComparison {
        table: table.name.clone(),
        rows_source: left.rows(),
        rows_target: right.rows(),
        keyless: table.key.is_empty(),
        ..TableComparison::default()
    };
    let differing = left.differing(&right);
    if !differing.is_empty() {
        let (left, right) = tokio::try_join!(
            scan::begin(source, table, &ranges, &differing),
            scan::begin(target, table, &ranges, &differing)
        )?;
        let mut found = Found { table, comparison: &mut comparison, listener };
        merge::merge(&mut found, left, right).await?;
        if comparison.differences == 0 {
            let why =
                format!("the rows of {} add up to different sums and read the same", table.name);
            return Err(interrupted(source, why));
        }
    }
    Ok((comparison, left.bytes + right.bytes))
}
