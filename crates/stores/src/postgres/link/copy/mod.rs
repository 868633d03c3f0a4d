//! The first copy: the tables' definitions and their rows as of one snapshot of the source, from
//! where the slot streams on, then keys and indexes. It runs while the source is written to.
//!
//! The link's row at the target says without a position that a copy is under way; it is written
//! before the slot is made, so that the slot of a copy that was cut off is known as ours. What
//! such a copy has brought is kept (`record`). Tables that it lacks are read from a newer
//! snapshot, and older changes to them are skipped later on; until the stream has reached that
//! snapshot the tables are not as of one instant, and nobody is told that the link streams.

mod anew;
mod definitions;
mod plan;
mod progress;
mod record;
mod rows;
mod script;
mod steps;
mod tables;

use super::failure::LinkError;
use super::shared::Shared;
use super::sql::Sql;
use super::{lineage, observe, resume};
use crate::postgres::replication::{CreatedSlot, Replication, SlotLife, quote_literal};
use mainstay_core::LinkPhase;
use mainstay_core::position::Lsn;
pub use plan::CopyPlan;
use progress::{Extent, Progress};
use record::Begun;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tables::SourceTable;

/// Copies everything, and returns the position from which changes are to be streamed. `again`: an
/// earlier copy was cut off.
pub(super) async fn copy(shared: &Shared, target: &Sql, again: bool) -> Result<Lsn, LinkError> {
    let spec = &shared.spec;
    let source = Sql::open(&spec.source, &format!("copy {}", spec.slot())).await?;
    observe::publication(&source).await.map_err(not_prepared)?;
    observe::large_objects(&source).await?;
    if let Some(begun) = record::load(target, &spec.name()).await? {
        match resumable(shared, &source, begun).await? {
            Ok(resumed) => return resumed.go_on(shared, target).await,
            Err((begun, why)) => anew::begin(shared, target, &begun, &why).await?,
        }
    }
    fresh(shared, &source, target, again).await
}

/// Before a first copy a missing publication is no loss: nothing was streamed yet.
fn not_prepared(error: LinkError) -> LinkError {
    match error {
        LinkError::Publication { place } => LinkError::SourceNotPrepared { place },
        other => other,
    }
}

async fn fresh(shared: &Shared, source: &Sql, target: &Sql, again: bool) -> Result<Lsn, LinkError> {
    let spec = &shared.spec;
    make_way(source, target, &spec.slot(), again).await?;
    let here = tables::present(target).await?;
    tables::must_be_empty(target, &here).await?;
    let mut slots = Replication::connect(&spec.source, &format!("slot {}", spec.slot())).await?;
    let lineage = lineage::read(spec, &mut slots).await?;
    begin(shared, target).await?;
    lineage::keep_by(shared, target, lineage).await?;
    // Making a slot waits until every transaction that is open at the source has ended.
    tracing::info!(link = %spec.name(), "the first copy begins");
    Progress::begin(shared, Extent::default());
    let made = slots.create_slot(&spec.slot(), SlotLife::Kept).await?;
    let published = as_of(shared, &made.snapshot).await?;
    let start = made.consistent_point;
    let name = spec.name();
    if here.is_empty() {
        let definitions = definitions::read(spec, source, &made.snapshot).await?;
        let steps = &definitions.steps;
        let record = record::beginning(&name, start, true, &published, steps);
        definitions.make(spec, &record).await?;
    } else {
        tables::must_match(target, &published, &here)?;
        let record = record::beginning(&name, start, false, &published, &[]);
        target.batch("begin the first copy", &format!("BEGIN; {record} COMMIT")).await?;
    }
    let Some(begun) = record::load(target, &name).await? else {
        return Err(resume::overtaken(target, spec, Lsn::default()).await);
    };
    Attempt { begun, snapshot: made, slots, tables: published }.go_on(shared, target).await
}

/// The published tables as of a snapshot.
async fn as_of(shared: &Shared, snapshot: &str) -> Result<Vec<SourceTable>, LinkError> {
    let spec = &shared.spec;
    let source = Sql::open(&spec.source, &format!("copy {}", spec.slot())).await?;
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}",
        quote_literal(snapshot)
    );
    source.batch("read the slot's snapshot", &begin).await.map_err(snapshot_gone)?;
    tables::published(&source).await
}

/// A snapshot is gone with the connection that holds it, and the next attempt takes another one.
fn snapshot_gone(error: LinkError) -> LinkError {
    match error {
        LinkError::Sql { place, doing, why, sqlstate: Some(code) } if no_snapshot(&code) => {
            LinkError::Sql { place, doing, why, sqlstate: None }
        }
        other => other,
    }
}

/// undefined_object since PostgreSQL 16, invalid_parameter_value before.
fn no_snapshot(sqlstate: &str) -> bool {
    matches!(sqlstate, "42704" | "22023")
}

/// A copy that can go on, with a snapshot of its own; or why it must begin anew.
async fn resumable(
    shared: &Shared,
    source: &Sql,
    begun: Begun,
) -> Result<Result<Attempt, (Begun, String)>, LinkError> {
    let slot = shared.spec.slot();
    let unusable = match resume::find_slot(source, &slot).await? {
        None => Some("its slot is gone".to_owned()),
        Some(resume::Slot { lost: Some(why), .. }) => Some(format!("its slot was lost ({why})")),
        Some(found) if found.confirmed != begun.start => Some("its slot has moved on".to_owned()),
        Some(_) => None,
    };
    if let Some(why) = unusable {
        return Ok(Err((begun, why)));
    }
    let mut slots = Replication::connect(&shared.spec.source, &format!("slot {slot}")).await?;
    if lineage::is_another(shared, &mut slots).await? {
        return Ok(Err((begun, "its source is on another timeline, or another server".to_owned())));
    }
    let name = format!("mainstay_copy_{}", uuid::Uuid::new_v4().simple());
    let snapshot = slots.create_slot(&name, SlotLife::Temporary).await?;
    let tables = as_of(shared, &snapshot.snapshot).await?;
    Ok(match anew::changed(&begun, &tables) {
        Some(why) => Err((begun, why)),
        None => Ok(Attempt { begun, snapshot, slots, tables }),
    })
}

/// One attempt at the rows that are still to be copied.
struct Attempt {
    begun: Begun,
    snapshot: CreatedSlot,
    /// This connection holds the snapshot.
    slots: Replication,
    tables: Vec<SourceTable>,
}

impl Attempt {
    async fn go_on(mut self, shared: &Shared, target: &Sql) -> Result<Lsn, LinkError> {
        let (spec, at) = (&shared.spec, self.snapshot.consistent_point);
        tables::find_splittable(target, &mut self.tables).await?;
        let keys = record::unmade(target, &spec.name(), script::Kind::Key).await?;
        let progress = Progress::begin(shared, self.extent(keys.len()));
        let waiting = self.waiting();
        let tables = self.begun.tables.len();
        tracing::info!(link = %spec.name(), tables, waiting = waiting.len(), "rows are copied");
        let pieces = plan::pieces(&waiting, &shared.plan);
        empty(target, &pieces).await?;
        rows::copy(shared, &progress, pieces, &self.snapshot.snapshot, at).await?;
        drop(self.slots);
        tracing::info!(link = %spec.name(), keys = keys.len(), "keys and indexes are made");
        steps::make(shared, &progress).await?;
        let start = self.begun.start;
        if record::ahead(target, &spec.name(), start).await?.is_none() {
            steps::make_late(shared).await?;
        }
        record::finish(target, spec, start).await?;
        Ok(start)
    }

    fn waiting(&self) -> Vec<Arc<SourceTable>> {
        let is_waiting = |table: &&SourceTable| {
            self.begun.tables.get(&table.name).is_some_and(|recorded| !recorded.copied)
        };
        self.tables.iter().filter(is_waiting).cloned().map(Arc::new).collect()
    }

    fn extent(&self, keys: usize) -> Extent {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let copied: Vec<_> = self.begun.tables.values().filter(|table| table.copied).collect();
        let bytes: u64 = copied.iter().map(|table| table.bytes).sum();
        Extent {
            tables_done: count(copied.len()),
            tables: count(self.begun.tables.len()),
            rows: copied.iter().map(|table| table.rows).sum(),
            bytes,
            total_bytes: bytes + self.waiting().iter().map(|table| table.size).sum::<u64>(),
            keys: count(keys),
        }
    }
}

/// Some ranges of a table that is not recorded may have come already. A table that is copied in
/// one piece is emptied in the same transaction.
async fn empty(target: &Sql, pieces: &VecDeque<plan::Piece>) -> Result<(), LinkError> {
    let split = pieces.iter().filter(|piece| piece.range.is_some());
    let names: BTreeSet<_> = split.map(|piece| piece.table.quoted.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().collect();
    let truncate = format!("TRUNCATE ONLY {}", names.join(", ONLY "));
    target.batch("empty the tables that are copied in ranges", &truncate).await
}

/// A slot without a position at the target holds what somebody may need; only one that a copy of
/// our own left behind is dropped.
async fn make_way(source: &Sql, target: &Sql, slot: &str, again: bool) -> Result<(), LinkError> {
    const END: &str = "SELECT pg_terminate_backend($1, 5000)";
    const DROP: &str = "SELECT pg_drop_replication_slot($1)";
    match resume::find_slot(source, slot).await? {
        None => Ok(()),
        Some(_) if !again => {
            let (place, slot) = (target.place().to_owned(), slot.to_owned());
            Err(LinkError::PositionMissing { place, slot })
        }
        Some(found) => {
            if let Some(pid) = found.active_pid {
                source.rows("end the slot's older reader", END, &[&pid]).await?;
            }
            source.rows("drop the slot of a copy that was cut off", DROP, &[&slot]).await?;
            Ok(())
        }
    }
}

async fn begin(shared: &Shared, target: &Sql) -> Result<(), LinkError> {
    const BEGIN: &str = "INSERT INTO mainstay.link (name, epoch) VALUES ($1, $2) \
                         ON CONFLICT (name) DO NOTHING";
    let epoch = shared.spec.epoch.number() as i64;
    target.execute("begin the first copy", BEGIN, &[&shared.spec.name(), &epoch]).await?;
    Ok(())
}

/// For a target at `position`: the position at which its tables will be as of one instant, when a
/// resumed copy left them as of several. When they are, what waited for that is made.
pub(super) async fn complete(
    shared: &Shared,
    target: &Sql,
    position: Lsn,
) -> Result<Option<Lsn>, LinkError> {
    let link = shared.spec.name();
    let late = record::unmade(target, &link, script::Kind::Late).await?;
    if let Some(ahead) = record::ahead(target, &link, position).await? {
        shared.copying(Some(LinkPhase::Copying {
            tables_done: ahead.tables,
            tables: ahead.tables,
            rows: ahead.rows,
            bytes: ahead.bytes,
            total_bytes: ahead.bytes,
            keys_done: 0,
            keys: u32::try_from(late.len()).unwrap_or(u32::MAX),
            seconds_left: None,
        }));
        return Ok(Some(ahead.together));
    }
    if !late.is_empty() {
        resume::end_older_sessions(target, &shared.spec).await?;
        steps::make_late(shared).await?;
    }
    record::forget_passed(target, &link, position).await?;
    Ok(None)
}
