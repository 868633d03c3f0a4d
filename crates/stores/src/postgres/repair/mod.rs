//! Repair: rows of a standby that a comparison found different become what the active site has.
//!
//! A comparison writes down the keys of the rows that differ. Then, some of them at a time, the
//! link stands still at the position of a new snapshot of the source. The rows are read again at
//! both sides as of that one position, and only those that still differ are swapped, in one
//! transaction at the target. A row that has changed since it was compared, or that was on its way,
//! is never overwritten.
//!
//! Invariant: what a row was and what it becomes is on disk before it is changed.

pub mod delta;
mod image;
mod keys;
mod record;
mod still;
mod swap;
mod undo;

use super::catalog::{self, Table};
use super::compare::Held;
use super::fault::Fault;
use super::session::Session;
use super::snapshot::Snapshot;
use keys::Reader;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::BufRead;
use std::path::Path;
use swap::{Both, Swapping};

pub use keys::Writer as KeysWriter;
pub use record::{Record, Swap};
pub use undo::{Undone, undo};

const DOING: &str = "repair rows";

/// Keys that are looked at while the link stands still once.
const ONCE: usize = 10_000;

/// A link that can be made to stand still.
pub trait Hold: Send {
    type Held: Held;
    fn hold(&mut self) -> impl Future<Output = Result<Self::Held, String>> + Send;
}

/// The two sides of a link. Only the target is changed.
#[derive(Debug, Clone)]
pub struct Sides {
    pub source: PostgresEndpoint,
    pub target: PostgresEndpoint,
    /// The link's name, as in `mainstay.link`.
    pub link: String,
}

/// What to do with rows that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only record what would be done.
    DryRun,
    /// Only record what the target has and the source has not, or not so.
    Salvage,
    Swap,
}

/// What was done, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Rows that were missing at the target.
    pub inserted: u64,
    pub updated: u64,
    /// Rows that only the target had.
    pub deleted: u64,
    /// Rows that the comparison named and that are equal by now.
    pub equal_by_now: u64,
    /// Tables whose rows could not be repaired, with the reason.
    pub refused: BTreeMap<String, String>,
    /// The last position at which rows were read again.
    pub position: Option<Lsn>,
}

impl Repaired {
    pub fn swapped(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// Repairs the rows whose keys are in `keys`, and tells `progress` after each step. What was done
/// before an error stays done, and is in the record.
pub async fn run(
    sides: &Sides,
    mode: Mode,
    keys: impl BufRead + Send,
    record: &mut Record,
    mut hold: impl Hold,
    mut progress: impl FnMut(&Repaired) + Send,
) -> Result<Repaired, Fault> {
    let mut keys = Reader::new(keys);
    let mut repaired = Repaired::default();
    loop {
        let batch = keys.next(ONCE)?;
        if batch.is_empty() {
            return Ok(repaired);
        }
        let held = hold.hold().await.map_err(|why| stands(sides, why))?;
        standing(sides, mode, &batch, record, held, &mut repaired).await?;
        progress(&repaired);
    }
}

fn stands(sides: &Sides, why: String) -> Fault {
    Fault::RepairInterrupted { place: super::connect::place(&sides.target), why }
}

/// One batch, while the link stands still.
async fn standing(
    sides: &Sides,
    mode: Mode,
    batch: &keys::Batch,
    record: &mut Record,
    mut held: impl Held,
    repaired: &mut Repaired,
) -> Result<(), Fault> {
    let snapshot = Snapshot::take(&sides.source, "repair").await?;
    held.advance_to(snapshot.position).await.map_err(|why| stands(sides, why))?;
    let both = Both { sides, snapshot: &snapshot, still: &|| held.still_stands() };
    one(&both, mode, batch, record, repaired).await
}

/// One batch of a target that stands at the snapshot's position.
async fn one(
    both: &Both<'_>,
    mode: Mode,
    batch: &keys::Batch,
    record: &mut Record,
    repaired: &mut Repaired,
) -> Result<(), Fault> {
    let Both { sides, snapshot, .. } = both;
    let mut target = Session::open(&sides.target, "repair").await?;
    target.batch(DOING, "SET statement_timeout = 0").await?;
    let here = catalog::tables(&snapshot.session).await?;
    let there = catalog::tables(&target).await?;
    let (batch, refused) = fit(batch, &here, &there);
    repaired.refused.extend(refused);
    repaired.position = Some(snapshot.position);
    let swap = Swapping { both, tables: &there };
    swap.run(mode, &mut target, batch, record, repaired).await
}

/// The keys by table, of tables that can be repaired; and why the others cannot.
fn fit(
    batch: &keys::Batch,
    here: &BTreeMap<String, Table>,
    there: &BTreeMap<String, Table>,
) -> (keys::Batch, BTreeMap<String, String>) {
    let mut refused = BTreeMap::new();
    let mut fitting = keys::Batch::new();
    for (name, keys) in batch {
        let why = match (here.get(name), there.get(name)) {
            (Some(here), Some(there)) if here.columns != there.columns || here.key != there.key => {
                "its columns or its key are not the same at both sites"
            }
            (Some(_), Some(_)) => {
                fitting.insert(name.clone(), keys.clone());
                continue;
            }
            _ => "it is not at both sites any more",
        };
        refused.insert(name.clone(), why.to_owned());
    }
    (fitting, refused)
}

/// A file of what a repair did or would do, for people and for [`undo`].
pub fn open_record(path: &Path) -> Result<Record, Fault> {
    Record::create(path).map_err(Fault::RepairUnwritable)
}
