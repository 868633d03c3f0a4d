//! A request over HTTP.

use super::{Around, Looked};
use crate::runbook::StepError;
use mainstay_core::runbook::Call;
use mainstay_traffic::probe;
use std::time::Duration;

const REACH: Duration = Duration::from_secs(1);

/// What RFC 9110 calls idempotent may be asked twice.
pub fn look(call: &Call) -> Looked {
    match call.repeatable || ["GET", "HEAD", "PUT", "DELETE"].contains(&call.method.as_str()) {
        true => Looked::NotDone,
        false => Looked::Unknown(format!(
            "whether the {} to {} arrived is not known",
            call.method, call.address
        )),
    }
}

pub async fn make(around: &Around<'_>, call: &Call) -> Result<String, StepError> {
    let filled = Call {
        path: around.fill(&call.path),
        body: call.body.as_ref().map(|body| around.fill(body)),
        ..call.clone()
    };
    let made = probe::call(&filled, &around.key(), around.timeout()).await;
    let passed = made.map_err(StepError::new)?;
    let millis = passed.took.as_millis();
    Ok(format!("{} {}{} was answered within {millis} ms", call.method, call.address, filled.path))
}

pub async fn missing(_: &Around<'_>, call: &Call) -> Vec<String> {
    let reached = probe::reaches(call, REACH).await;
    reached.err().map(|why| why.to_string()).into_iter().collect()
}
