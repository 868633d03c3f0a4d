//! What can still be known when the history is gone: rows, not transactions.

use super::{id, keep, path, send};
use crate::application::Application;
use crate::types::{Inexact, Return, SalvageSummary};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::repair::{self, Repaired, Sides, delta};

/// Keeps at both sites the rows that this site has and the active one has not, or not so: all that
/// can be known where the history is gone.
pub async fn take_rows(
    application: &Application,
    returning: &Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
    why: String,
) -> Result<SalvageSummary, String> {
    let id = id(application, returning);
    let stores = &application.context.stores;
    let received = stores.applied(&reverse.source, &former.name()).await.map_err(say)?;
    let path = path(application, &id);
    let draft = path.with_extension("draft");
    let mut record = repair::open_record(&draft).map_err(say)?;
    let sides = repair_sides(reverse);
    let rows = if stores.has_tables(&sides).await.map_err(say)? {
        let found = delta::find(&sides, None, &path.with_extension("keys")).await.map_err(say)?;
        let rows = found.salvage(&mut record).await.map_err(say)?;
        found.forget_keys().map_err(say)?;
        rows
    } else {
        Repaired::default()
    };
    std::fs::rename(&draft, &path).map_err(|why| why.to_string())?;
    let kept = SalvageSummary {
        id,
        application: application.spec.name.clone(),
        store: returning.store.clone(),
        site: application.here().clone(),
        epoch: returning.epoch,
        transactions: 0,
        changes: rows.updated + rows.deleted,
        first_commit_micros: None,
        last_commit_micros: None,
        states: None,
        inexact: Some(Inexact {
            why,
            only_there: rows.deleted,
            other_there: rows.updated,
            after_micros: received.and_then(|received| received.commit_micros),
        }),
        replay: None,
        rpo_exact_s: None,
    };
    send(application, &kept, reverse).await?;
    keep(application, &kept).await?;
    Ok(kept)
}

/// The two sides of the link back, for a repair.
pub fn repair_sides(reverse: &LinkSpec) -> Sides {
    let (source, target) = (reverse.source.clone(), reverse.target.clone());
    Sides { source, target, link: reverse.name() }
}

fn say(fault: Fault) -> String {
    fault.to_string()
}
