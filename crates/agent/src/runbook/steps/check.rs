//! Whether a planned move can succeed at all; nothing is touched.

use super::{ends, from, peer};
use crate::application::Application;
use crate::peer::messages::View;
use crate::runbook::StepError;
use crate::types::Execution;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    if let Some(refusal) = refusals(application).into_iter().next() {
        return Err(StepError::new(refusal));
    }
    let active = from(execution)?;
    let view: View =
        peer(application, active)?.get("/v1/peer/view", TIMEOUT).await.map_err(StepError::new)?;
    let there = view.applications.get(&application.spec.name);
    let epoch = there.map(|there| there.highest);
    if epoch != Some(ends(execution)) {
        return Err(StepError::new(format!("{active} is at another epoch than this site")));
    }
    Ok(format!("{active} answers; every link is complete"))
}

/// What stands in the way of a planned move to this site now.
pub fn refusals(application: &Application) -> Vec<String> {
    let known = application.known();
    let mut found = Vec::new();
    match &known.facts.record {
        None => found.push("the coordinator has not answered yet".to_owned()),
        Some(seen) if seen.record.active == known.facts.here => {
            found.push(format!("{} is active already", known.facts.here));
        }
        Some(_) => {}
    }
    if known.facts.claim_is_open() {
        found.push(format!("a failover to {} may be under way", known.facts.here));
    }
    if known.facts.returning.is_some() {
        found
            .push("this site is not back from the last failover; see `mainstay status`".to_owned());
    }
    for store in &application.rules.stores {
        let lag = known.links.get(store).map(|link| link.status.lag).unwrap_or_default();
        if !lag.is_within(application.rules.rpo) {
            found.push(format!("the lag of {store} is {lag}, over {:?}", application.rules.rpo));
        }
    }
    found
}
