//! Having the active site fence itself in favour of this one.

use super::{from, peer, request};
use crate::application::Application;
use crate::peer::messages::FenceAnswer;
use crate::runbook::StepError;
use crate::types::Execution;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(6);
/// Fact under which the ends of the stores are journaled.
pub const ENDS: &str = "ends";

pub async fn make(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let active = from(execution)?.clone();
    let answer: FenceAnswer = peer(application, &active)?
        .post("/v1/peer/fence", &request(application, execution), TIMEOUT)
        .await
        .map_err(StepError::new)?;
    execution.facts.insert(ENDS.to_owned(), json!(answer.positions));
    execution.facts.insert("receipt".to_owned(), json!(answer.receipt));
    let ends: Vec<String> =
        answer.positions.iter().map(|(store, end)| format!("{store} at {end}")).collect();
    Ok(format!("{active} is fenced; it ended with {}", ends.join(", ")))
}
