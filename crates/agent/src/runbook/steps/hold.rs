//! Holding new requests at this gate and at the active site's.

use super::{HOLD, ends, from, peer, request};
use crate::application::Application;
use crate::peer::messages::HoldAnswer;
use crate::runbook::StepError;
use crate::time::tick;
use crate::types::Execution;
use mainstay_core::decision::Hold;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(4);

pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let (id, epoch) = (execution.id.clone(), ends(execution));
    let hold = Hold { execution: id, epoch, until: tick().plus(HOLD) };
    application.learn(|known| known.facts.hold = Some(hold));
    let active = from(execution)?;
    let answer: HoldAnswer = peer(application, active)?
        .post("/v1/peer/hold", &request(application, execution), TIMEOUT)
        .await
        .map_err(StepError::new)?;
    Ok(if answer.drained {
        "both gates hold; nothing is under way".to_owned()
    } else {
        format!("both gates hold; {} still under way will be cut by the fence", answer.in_flight)
    })
}
