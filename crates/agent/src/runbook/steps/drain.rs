//! Applying what has arrived, and ending the links to this site.

use super::hand_over::ENDS;
use crate::act::links;
use crate::application::{Application, RunningLink};
use crate::runbook::StepError;
use crate::types::Execution;
use mainstay_core::decision::Hindrance;
use mainstay_core::{Position, StoreName};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the step waits each time for what only the failed site has.
const LOOK: Duration = Duration::from_secs(1);

/// The fact of an execution that says how far this site had received a store's changes when it
/// claimed.
pub fn received_of(store: &StoreName) -> String {
    format!("received_of_{store}")
}

/// The fact of an execution that says how far a store's changes were applied here when its link
/// ended.
pub fn applied_of(store: &StoreName) -> String {
    format!("applied_of_{store}")
}

/// After a failover: everything that was received. When the failed site's database could still be
/// fenced, everything up to its end.
///
/// Invariant: what had been received when this site claimed is not given up without a person's
/// word. While it is not applied the links stay, and the step is made again.
pub async fn received(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let mut words = Vec::new();
    let mut links = application.links.lock().await;
    for store in &application.rules.stores {
        if !links.contains_key(store) {
            // This agent was restarted since the claim.
            let began = links::begin(application, store, execution.epoch, super::from(execution)?);
            let began = began.ok_or_else(|| StepError::new(format!("no endpoint of {store}")))?;
            links.insert(store.clone(), began);
        }
        let Some(running) = links.get(store) else { continue };
        let (applied, said) = drain_one(application, execution, store, running).await?;
        execution.facts.insert(applied_of(store), json!(applied));
        words.push(said);
    }
    while let Some((_, running)) = links.pop_first() {
        running.link.stop().await;
    }
    Ok(words.join("; "))
}

async fn drain_one(
    application: &Application,
    execution: &Execution,
    store: &StoreName,
    running: &RunningLink,
) -> Result<(Position, String), StepError> {
    let end = position(execution, &format!("end_of_{store}"));
    if let Some(end) = end
        && let Ok(applied) = running.link.drain_to(end, TIMEOUT).await
    {
        return Ok((applied, format!("{store}: applied to its very end, {applied}")));
    }
    let applied = running.link.drain_received(TIMEOUT).await.map_err(StepError::new)?;
    let wanted = match position(execution, &received_of(store)) {
        Some(received) => Some(received),
        // It was killed before the execution was journaled.
        None => claimed_at(application, store).await?,
    };
    // Positions of two histories have no order: then nothing says that all is there.
    let reached = |wanted: &Position| applied >= *wanted;
    let Some(wanted) = wanted.filter(|wanted| !reached(wanted)) else {
        return Ok((applied, format!("{store}: applied all that arrived, to {applied}")));
    };
    // The failed site may be back, and its link bring the rest once more.
    if let Ok(applied) = running.link.drain_to(wanted, LOOK).await {
        return Ok((applied, format!("{store}: all that had arrived came again, to {applied}")));
    }
    let lost = format!(
        "{store}: what had arrived was lost with this site's agent before it was applied; applied \
         {applied}, had arrived {wanted}"
    );
    if accepts_loss(application, execution) {
        return Ok((applied, format!("{lost}; a person accepted that")));
    }
    Err(StepError::new(format!(
        "{lost}; start the failed site, or type: mainstay failover --accept-loss DURATION, as long \
         as the loss that `mainstay executions` shows at least"
    )))
}

pub fn position(execution: &Execution, fact: &str) -> Option<Position> {
    serde_json::from_value(execution.facts.get(fact)?.clone()).ok()
}

/// The end of the store's history in the record that this site claimed from.
async fn claimed_at(
    application: &Application,
    store: &StoreName,
) -> Result<Option<Position>, StepError> {
    let claim = application.context.memory.claim(&application.spec.name).await;
    let claim = claim.map_err(StepError::new)?;
    Ok(claim.and_then(|from| from.positions.get(store).copied()))
}

/// A person's word counts for what the decision said could be lost, and only where it names that.
fn accepts_loss(application: &Application, execution: &Execution) -> bool {
    let known = application.known();
    let order = known.facts.order.as_ref();
    order.zip(arrived_lost(execution)).is_some_and(|(order, lost)| order.accepts(&lost))
}

/// What the execution would lose if it went on without what had arrived; none when nobody knows.
pub fn arrived_lost(execution: &Execution) -> Option<Hindrance> {
    let bound = execution.facts.get("loss_bound_s")?.as_f64()?;
    let bound = Duration::try_from_secs_f64(bound).ok()?;
    Some(Hindrance::ArrivedLost { bound })
}

/// In a planned move: everything up to the noted ends, and the sequences exactly.
pub async fn to_end(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let ends = execution.facts.get(ENDS).cloned().unwrap_or_default();
    let ends: BTreeMap<StoreName, Position> =
        serde_json::from_value(ends).map_err(StepError::new)?;
    let mut words = Vec::new();
    for (store, end) in &ends {
        drain_to(application, store, *end).await?;
        execution.facts.insert(applied_of(store), json!(end));
        words.push(format!("{store}: applied to its end, {end}"));
        let here = application.here();
        let from = super::from(execution)?;
        if let Some(spec) = links::spec(application, store, from, here, execution.epoch) {
            let stores = &application.context.stores;
            let moved = stores.copy_sequences(&spec.source, &spec.target).await;
            words.push(format!("{} sequences copied", moved.map_err(StepError::new)?));
        }
    }
    let mut links = application.links.lock().await;
    while let Some((_, running)) = links.pop_first() {
        running.link.stop().await;
    }
    Ok(words.join("; "))
}

async fn drain_to(
    application: &Application,
    store: &StoreName,
    end: Position,
) -> Result<(), StepError> {
    let links = application.links.lock().await;
    let running = links.get(store);
    let running = running.ok_or_else(|| StepError::new(format!("no link of {store} runs")))?;
    running.link.drain_to(end, TIMEOUT).await.map(drop).map_err(StepError::new)
}
