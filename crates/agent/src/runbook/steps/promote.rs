//! Opening this site's databases for the application: the point of no return.

use super::from;
use crate::act::{databases, links};
use crate::api::types::{Execution, ExecutionKind};
use crate::application::Application;
use crate::runbook::StepError;
use mainstay_stores::postgres::sequences;
use std::sync::Arc;

/// How far a sequence jumps beyond the last value that was seen of it: more than a site can issue
/// between the last look and its end.
const HEADROOM: i64 = 10_000;

pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let mut words = Vec::new();
    if execution.kind == ExecutionKind::Failover {
        let former = from(execution)?;
        for (store, _, endpoint) in databases::here(application) {
            let here = application.here();
            let Some(spec) = links::spec(application, store, former, here, execution.epoch) else {
                continue;
            };
            let bumped = sequences::bump(endpoint, &spec.name(), HEADROOM).await;
            let bumped = bumped.map_err(StepError::new)?;
            words.push(format!("{store}: {} sequences moved on by {HEADROOM}", bumped.moved));
            words.extend(bumped.findings.iter().map(|finding| finding.what.clone()));
        }
    }
    databases::open(application, execution.epoch).await.map_err(StepError::new)?;
    let mut epochs = application.epochs();
    epochs.promoted = execution.epoch;
    application.remember(epochs).await.map_err(StepError::new)?;
    words.push(format!("databases accept writes in epoch {}", execution.epoch));
    Ok(words.join("; "))
}
