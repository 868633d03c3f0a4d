//! Taking over the right to write that the active site handed over.

use crate::act::renewal::change;
use crate::application::Application;
use crate::coordinator::Versioned;
use crate::runbook::StepError;
use crate::time::tick;
use crate::types::Execution;
use mainstay_core::Record;
use mainstay_core::record::Cause;
use serde_json::json;
use std::sync::Arc;

/// Invariant: the claim is made on a record that holds this execution's handover, so the active
/// site is fenced, and cannot take the handover back any more once the claim is made.
pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let body = json!({"epoch": execution.epoch, "cause": "switchover", "execution": execution.id});
    application.enter("decision", body).await.map_err(StepError::new)?;
    for _ in 0..10 {
        let (current, record) = read(application).await?;
        if record.epoch == execution.epoch && record.active == *application.here() {
            return Ok(format!("epoch {} belongs to {}", execution.epoch, execution.to));
        }
        let ours = record.handover.as_ref().is_some_and(|it| it.execution == execution.id);
        if !ours || record.epoch.next() != execution.epoch {
            return Err(StepError::new("the active site has taken its handover back"));
        }
        application.keep_claim(&record).await.map_err(StepError::new)?;
        let next = record.claimed_by(application.here(), Cause::Switchover);
        let next = next.with_lease(application.spec.lease);
        // Whether it was made is seen by reading the record again.
        change(application, current, next).await;
    }
    Err(StepError::new("the record kept changing"))
}

/// The record as it is now.
async fn read(application: &Application) -> Result<(Versioned, Record), StepError> {
    let sent = tick();
    let coordinator = &application.context.coordinator;
    let current = coordinator.read(&application.spec.name).await.map_err(StepError::new)?;
    let record = current.record.clone();
    let record = record.ok_or_else(|| StepError::new("the coordinator holds no record"))?;
    crate::observe::record::take(application, current.clone(), sent).await;
    Ok((current, record))
}
