//! Deciding at this, the active site, what becomes of salvaged transactions. Each decision is in the
//! ledger before it is carried out; whether it was is in the database, with what it did.

use super::keep;
use super::look::{Place, failed, place};
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::types::{DecisionRequest, RejectSummary, ReplayRequest, ReplaySummary, SalvageSummary};
use mainstay_core::Epoch;
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::salvage::{self, Asked, Choice, Columns, Replayed, Value};
use serde_json::json;

/// Bytes of a value that are told of it, and a quarter of that when it is longer.
const LONGEST: usize = 1000;

/// By the rules, or the transactions that the request names.
pub async fn replay(
    application: &Application,
    request: &ReplayRequest,
    asker: &Asker,
) -> Result<ReplaySummary, Refused> {
    let (place, epoch) = decided_here(application, &request.decision.id).await?;
    let overwrite = json!(request.overwrite);
    enter(application, "replay-begun", &request.decision, asker, overwrite).await?;
    let DecisionRequest { transactions, reason, .. } = &request.decision;
    let transactions = transactions.iter().copied().collect();
    let (overwrite, reason) = (request.overwrite, asker.signs(reason));
    let choice = Choice { transactions, overwrite, reason };
    let named = !choice.transactions.is_empty();
    let book = place.book();
    let done = match named {
        true => salvage::replay_chosen(&book, epoch, &choice).await,
        false => salvage::replay(&book, epoch).await,
    };
    recount(application);
    let done = summary(done.map_err(refused)?);
    let body = json!({"salvage": place.kept.id, "transactions": done.transactions,
        "asked": done.asked});
    application.enter("replayed", body).await.map_err(|why| failed(why.to_string()))?;
    if !named {
        let replay = Some(ReplaySummary { first: Vec::new(), ..done.clone() });
        let kept = SalvageSummary { replay, ..place.kept.clone() };
        keep(application, &kept).await.map_err(failed)?;
    }
    Ok(done)
}

/// The transactions that the request names, or all that are open.
pub async fn reject(
    application: &Application,
    request: &DecisionRequest,
    asker: &Asker,
) -> Result<RejectSummary, Refused> {
    let (place, epoch) = decided_here(application, &request.id).await?;
    enter(application, "reject-begun", request, asker, json!(null)).await?;
    let named = request.transactions.iter().copied().collect();
    let named = Some(&named).filter(|_| !request.transactions.is_empty());
    let done = salvage::reject(&place.book(), epoch, named, &asker.signs(&request.reason)).await;
    recount(application);
    let done = done.map_err(refused)?;
    let summary =
        RejectSummary { transactions: done.transactions, rejected_before: done.rejected_before };
    let body = json!({"salvage": request.id, "transactions": done.transactions});
    application.enter("rejected", body).await.map_err(|why| failed(why.to_string()))?;
    Ok(summary)
}

async fn enter(
    application: &Application,
    kind: &'static str,
    request: &DecisionRequest,
    asker: &Asker,
    overwrite: serde_json::Value,
) -> Result<(), Refused> {
    let body = json!({"salvage": request.id, "named": request.transactions,
        "overwrite": overwrite, "reason": request.reason,
        "by": asker.name});
    application.enter(kind, body).await.map_err(|why| failed(why.to_string()))
}

async fn decided_here(application: &Application, id: &str) -> Result<(Place, Epoch), Refused> {
    let place = place(application, id).await?;
    if place.active == *application.here() {
        let epoch = place.epoch;
        return Ok((place, epoch));
    }
    let here = application.here();
    let what = format!("a salvage is decided at {}, and this is {here}", place.active);
    Err(Refused::new("MS-AGENT-021", what, format!("type the same at {}", place.active)))
}

/// What is open is counted anew, also when the decision was cut off halfway.
fn recount(application: &Application) {
    application.learn(|known| known.salvage_changes += 1);
}

pub(super) fn refused(fault: Fault) -> Refused {
    let code = fault.code();
    Refused::new(code, fault.to_string(), format!("docs/errors/{code}.md says more"))
}

fn summary(done: Replayed) -> ReplaySummary {
    ReplaySummary {
        transactions: done.transactions,
        rows_inserted: done.rows_inserted,
        rows_updated: done.rows_updated,
        rows_deleted: done.rows_deleted,
        already_there: done.already_there,
        kept: done.kept,
        done_before: done.done_before,
        rejected_before: done.rejected_before,
        formerly_rejected: done.formerly_rejected,
        asked: done.asked_total,
        first: done.asked.into_iter().map(clipped).collect(),
    }
}

/// An answer holds the first rows that are left, not values of megabytes.
fn clipped(asked: Asked) -> Asked {
    let clip = |row: Option<Columns>| {
        row.map(|row| Columns(row.0.into_iter().map(|(name, it)| (name, short(it))).collect()))
    };
    let (key, salvaged, found) = (clip(asked.key), clip(asked.salvaged), clip(asked.found));
    Asked { key, salvaged, found, ..asked }
}

fn short(value: Value) -> Value {
    match value {
        Value::Text(text) if text.len() > LONGEST => {
            Value::Text(text.chars().take(LONGEST / 4).chain(['…']).collect())
        }
        value => value,
    }
}
