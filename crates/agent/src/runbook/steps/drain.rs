//! Applying what has arrived, and ending the links to this site.

use super::hand_over::ENDS;
use crate::act::links;
use crate::api::types::Execution;
use crate::application::{Application, RunningLink};
use crate::runbook::StepError;
use mainstay_core::{Position, StoreName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// After a failover: everything that was received. When the failed site's database could still be
/// fenced, everything up to its end.
pub async fn received(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let mut words = Vec::new();
    let mut links = application.links.lock().await;
    for store in &application.rules.stores {
        let Some(running) = links.remove(store) else {
            words.push(format!("{store}: no link was running; what arrived was applied"));
            continue;
        };
        let end = execution.facts.get(&format!("end_of_{store}"));
        let end = end.and_then(|it| serde_json::from_value::<Position>(it.clone()).ok());
        words.push(drain_one(store, running, end).await?);
    }
    Ok(words.join("; "))
}

async fn drain_one(
    store: &StoreName,
    running: RunningLink,
    end: Option<Position>,
) -> Result<String, StepError> {
    let to_end = match end {
        Some(end) => running.link.drain_to(end.lsn(), TIMEOUT).await.ok(),
        None => None,
    };
    let drained = match to_end {
        Some(applied) => Ok(format!("{store}: applied to its very end, {applied}")),
        None => running
            .link
            .drain_received(TIMEOUT)
            .await
            .map(|applied| format!("{store}: applied all that arrived, to {applied}")),
    };
    running.link.stop().await;
    drained.map_err(StepError::new)
}

/// In a planned move: everything up to the noted ends, and the sequences exactly.
pub async fn to_end(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let ends = execution.facts.get(ENDS).cloned().unwrap_or_default();
    let ends: BTreeMap<StoreName, Position> =
        serde_json::from_value(ends).map_err(StepError::new)?;
    let mut words = Vec::new();
    for (store, end) in &ends {
        drain_to(application, store, *end).await?;
        let spec = execution.from.as_ref().and_then(|from| {
            links::spec(application, store, from, application.here(), execution.epoch)
        });
        let spec = spec.ok_or_else(|| StepError::new(format!("{store} has no endpoint here")))?;
        let stores = &application.context.stores;
        let moved = stores.copy_sequences(&spec.source, &spec.target).await;
        let moved = moved.map_err(StepError::new)?;
        words.push(format!("{store}: applied to its end, {end}; {moved} sequences copied"));
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
    running.link.drain_to(end.lsn(), TIMEOUT).await.map(drop).map_err(StepError::new)
}
