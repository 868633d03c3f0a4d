//! Comparing on a person's word. The standby makes it, whichever agent is asked: the link that has
//! to stand still for a moment runs there.

use super::agent::Agent;
use super::moves::{pick, target};
use super::types::CompareRequest;
use crate::act;
use crate::error::Refused;
use std::time::Duration;

/// A comparison reads every row of both sides.
const TIMEOUT: Duration = Duration::from_secs(3600);

pub async fn at_standby(
    agent: &Agent,
    request: &CompareRequest,
) -> Result<serde_json::Value, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let standby = target(application, None)?;
    let Some(peer) = application.context.peers.get(&standby) else {
        return here(agent, request).await;
    };
    let request = CompareRequest {
        application: Some(application.spec.name.clone()),
        store: request.store.clone(),
    };
    peer.post("/v1/peer/compare", &request, TIMEOUT).await.map_err(|why| failed(why.to_string()))
}

/// Compares at this site, a standby.
pub async fn here(agent: &Agent, request: &CompareRequest) -> Result<serde_json::Value, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let store = request.store.as_ref().or_else(|| application.rules.stores.first());
    let store = store.ok_or_else(|| failed("the application has no store".to_owned()))?;
    let compared = act::compare::run(application, store).await.map_err(failed)?;
    serde_json::to_value(compared).map_err(|why| failed(why.to_string()))
}

fn failed(why: String) -> Refused {
    Refused::new(
        "MS-AGENT-014",
        format!("whether both sides are equal is unknown: {why}"),
        "make it again while the link streams; see `mainstay status`",
    )
}
