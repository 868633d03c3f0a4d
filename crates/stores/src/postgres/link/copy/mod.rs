//! The first copy: the tables' definitions, then their rows as of one snapshot of the source, from
//! where the slot streams on. It runs while the source is written to.
//!
//! The link's row at the target says without a position that a copy is under way; it is written
//! before the slot is made, so that a copy that was cut off is known as ours and begins anew.

mod definitions;
mod rows;
mod tables;

use super::failure::LinkError;
use super::shared::Shared;
use super::sql::Sql;
use super::{observe, resume};
use crate::postgres::replication::{Replication, SlotLife};
use mainstay_core::position::Lsn;

/// Copies everything, and returns the position from which changes are to be streamed. `again`: an
/// earlier copy was cut off.
pub(super) async fn copy(shared: &Shared, target: &Sql, again: bool) -> Result<Lsn, LinkError> {
    let spec = &shared.spec;
    let slot = spec.slot();
    let source = Sql::open(&spec.source, &format!("copy {slot}")).await?;
    observe::publication(&source).await.map_err(not_prepared)?;
    let tables = tables::published(&source).await?;
    make_way(&source, target, &slot, again).await?;
    let here = tables::present(target).await?;
    if !again {
        tables::must_be_empty(target, &here).await?;
    }
    begin(shared, target).await?;
    if here.is_empty() {
        definitions::copy(spec).await?;
    } else {
        tables::must_match(target, &tables, &here)?;
    }
    if again {
        tables::empty(target, &here).await?;
    }
    // Making a slot waits until every transaction that is open at the source has ended.
    tracing::info!(link = %spec.name(), tables = tables.len(), "the first copy begins");
    rows::report_waiting(shared, &tables);
    let mut slots = Replication::connect(&spec.source, &format!("slot {slot}")).await?;
    let made = slots.create_slot(&slot, SlotLife::Kept).await?;
    rows::copy(shared, tables, &made.snapshot).await?;
    finish(shared, target, made.consistent_point).await?;
    // Until here this connection held the snapshot.
    drop(slots);
    Ok(made.consistent_point)
}

/// A slot without a position at the target holds what somebody may need; only one that a copy of
/// our own left behind is dropped.
/// Before a first copy a missing publication is no loss: nothing was streamed yet.
fn not_prepared(error: LinkError) -> LinkError {
    match error {
        LinkError::Publication { place } => LinkError::SourceNotPrepared { place },
        other => other,
    }
}

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

async fn finish(shared: &Shared, target: &Sql, at: Lsn) -> Result<(), LinkError> {
    const FINISH: &str = "UPDATE mainstay.link SET position = $3::text::pg_lsn \
                          WHERE name = $1 AND epoch = $2 AND position IS NULL";
    let spec = &shared.spec;
    let epoch = spec.epoch.number() as i64;
    let moved = target
        .execute("end the first copy", FINISH, &[&spec.name(), &epoch, &at.to_string()])
        .await?;
    if moved == 1 {
        return Ok(());
    }
    Err(resume::overtaken(target, spec, Lsn::default()).await)
}
