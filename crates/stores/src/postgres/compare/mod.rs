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
mod given_up;
mod merge;
mod progress;
mod ranges;
mod recheck;
mod scan;
mod sequence;
mod settled;
mod shape;
mod table;

use super::catalog;
use super::fault::Fault;
use super::session::Session;
use super::snapshot::{self, Snapshot};
use given_up::Watch;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use progress::Meter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};
use table::Side;

pub use crate::pace::Pace;
pub use merge::{Difference, Kind};
pub use progress::Progress;
pub use recheck::{Rechecked, run as recheck};
pub use sequence::SequenceDifference;

/// A link that stands still: what ends later than its target's position is not applied until this
/// is dropped. It must be held before the comparison begins, for the position is chosen then.
pub trait Held: Send + Sync {
    /// Applies everything that ends at or before `at`, and nothing later; or says why it cannot.
    fn advance_to(&mut self, at: Lsn) -> impl Future<Output = Result<(), String>> + Send;

    /// It still stands where it was told to. A failover makes a link go on that somebody holds.
    fn still_stands(&self) -> bool {
        true
    }
}

/// Is told of what the comparison finds, as it finds it, and of how far it has come.
pub trait Listener: Send {
    /// A row of a table (`schema.table`) that has a key. What fails ends the comparison.
    fn found(&mut self, table: &str, difference: &Difference) -> std::io::Result<()>;

    /// Before each table and at the end. Must return at once.
    fn progress(&mut self, _: &Progress) {}
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
    /// What a person should know beside the rows, such as extensions of unequal versions. It does
    /// not make the sides different.
    #[serde(default)]
    pub notes: Vec<String>,
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
    /// The first of them; none where much was listed of other tables already.
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

    fn listed(&self) -> usize {
        self.differing.iter().flat_map(|difference| &difference.key).map(String::len).sum()
    }
}

/// Bytes of keys that are listed in all. What is listed goes into one answer.
const LISTED: usize = 1 << 20;

/// A server notices soon that the process which waited has gone.
const FULL: &str = "SET work_mem = '64MB'; SET client_connection_check_interval = '1s'";
const GENTLE: &str = "SET work_mem = '64MB'; SET client_connection_check_interval = '1s'; \
                      SET max_parallel_workers_per_gather = 0";

/// The link of a gentle comparison stands still no longer than this for transactions that are
/// writing at the source: it would fall behind.
const STANDING: Duration = Duration::from_secs(3);

/// Compares every table. `held` is given back its freedom as soon as the target's snapshot is
/// taken, long before the rows are read.
pub async fn run(
    source: &PostgresEndpoint,
    target: &PostgresEndpoint,
    held: impl Held,
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    run_at(Pace::Full, source, target, held, listener).await
}

/// As `run`, at a pace.
pub async fn run_at(
    pace: Pace,
    source: &PostgresEndpoint,
    target: &PostgresEndpoint,
    held: impl Held,
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    let began = Instant::now();
    let Snapshot { position, session } = match pace {
        Pace::Full => Snapshot::take(source, "comparison").await,
        Pace::Gentle => Snapshot::take_within(STANDING, source, "comparison").await,
    }?;
    let here = Watch::over(&session, source);
    // At once: names of types are told as they are now, not as they were at the snapshot.
    let standing = pause_and_read(target, position, held, "comparison", |_| ());
    let (source, (target, there, ())) = tokio::try_join!(side(session), standing)?;
    let mut comparison = between(position, pace, (&source, &target), listener).await?;
    comparison.seconds = began.elapsed().as_secs_f64();
    here.finished();
    there.finished();
    Ok(comparison)
}

/// Compares two sides that are read as of one position.
pub(super) async fn between(
    position: Lsn,
    pace: Pace,
    (source, target): (&Side, &Side),
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    for Side { session, .. } in [source, target] {
        session.batch("prepare to compare", pace.settings()).await?;
    }
    let settled = settled::settle(&source.session, &target.session).await?;
    let mut comparison = Comparison {
        position,
        equal: true,
        tables: Vec::new(),
        sequences: Vec::new(),
        notes: settled.notes,
        bytes: 0,
        seconds: 0.0,
    };
    let names: BTreeSet<&String> = source.tables.keys().chain(target.tables.keys()).collect();
    let mut meter = Meter::of(source, names.len()).await?;
    let mut listed = 0;
    for name in names {
        listener.progress(meter.begin(name));
        let started = Instant::now();
        let compared = table::compare(name, (source, target), settled.bytes, listener).await;
        let (mut table, bytes) = compared?;
        listed += table.listed();
        if listed > LISTED {
            table.differing.clear();
        }
        comparison.equal &= table.is_equal();
        comparison.bytes += bytes;
        comparison.tables.push(table);
        meter.end(name);
        pace.rest(started).await;
    }
    listener.progress(meter.now());
    comparison.sequences = sequence::differences(&source.session, &target.session).await?;
    Ok(comparison)
}

impl Pace {
    fn settings(self) -> &'static str {
        match self {
            Pace::Full => FULL,
            Pace::Gentle => GENTLE,
        }
    }
}

/// The target as it is when the link stands at `at`, and what is asked of the link then. The first
/// query, for the tables, is what takes the snapshot.
async fn pause_and_read<H: Held, T>(
    target: &PostgresEndpoint,
    at: Lsn,
    mut held: H,
    what: &str,
    ask: impl FnOnce(&H) -> T,
) -> Result<(Side, Watch, T), Fault> {
    let session = snapshot::reading(target, what).await?;
    let watch = Watch::over(&session, target);
    held.advance_to(at).await.map_err(|why| interrupted(&session, why))?;
    let asked = ask(&held);
    let side = side(session).await?;
    if !held.still_stands() {
        let why = "the link went on, because all that was received is needed".to_owned();
        return Err(interrupted(&side.session, why));
    }
    drop(held);
    Ok((side, watch, asked))
}

pub(super) async fn side(session: Session) -> Result<Side, Fault> {
    let tables = catalog::tables(&session).await?;
    let shapes = shape::read(&session).await?;
    Ok(Side { session, tables, shapes })
}

fn interrupted(session: &Session, why: String) -> Fault {
    Fault::ComparisonInterrupted { place: session.place().to_owned(), why }
}
