//! Leading the traffic here. The decision directs the gate as soon as the promotion is done; this
//! step waits until the gate says that it serves.

use crate::application::Application;
use crate::runbook::StepError;
use crate::types::Execution;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let mut reports = application.context.gate.watch(&application.spec.name);
    let serves = reports.wait_for(|report| {
        report
            .as_ref()
            .is_some_and(|report| report.epoch == execution.epoch && report.posture_name == "serve")
    });
    match tokio::time::timeout(TIMEOUT, serves).await {
        Ok(Ok(report)) => Ok(format!(
            "the gate serves epoch {}; {} requests were held",
            execution.epoch,
            report.as_ref().map_or(0, |report| report.http_held)
        )),
        Ok(Err(_)) => Err(StepError::new("the agent is ending")),
        Err(_) => Err(StepError::new(
            "this site's gate does not say that it serves; is `mainstay gate` running?",
        )),
    }
}
