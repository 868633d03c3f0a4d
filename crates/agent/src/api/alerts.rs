//! What waits to be told, what was told last, and trying a notifier.

use super::agent::Agent;
use crate::error::Refused;
use crate::time::tick;
use mainstay_alerts::desk::{Counts, Delivered, Pending, Trouble};
use mainstay_core::{NotifierName, SiteName};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// `GET /v1/alerts`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alerts {
    pub here: SiteName,
    pub notifiers: Vec<NotifierView>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotifierView {
    pub name: NotifierName,
    pub kind: String,
    /// Where it leads; nothing secret.
    pub place: String,
    pub trouble: Option<Trouble>,
    /// Due, and not delivered.
    pub pending: Vec<Pending>,
    /// Newest first.
    pub delivered: Vec<Delivered>,
    /// Since this agent began.
    pub counts: Counts,
}

/// `POST /v1/alerts/test`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestRequest {
    /// None: each of them.
    pub notifier: Option<NotifierName>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tested {
    pub here: SiteName,
    pub tried: Vec<Tried>,
}

/// What came of one test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    pub name: NotifierName,
    pub kind: String,
    pub place: String,
    pub took_s: f64,
    /// Why it was not delivered.
    pub failed: Option<String>,
}

pub fn list(agent: &Agent) -> Alerts {
    let context = &agent.context;
    Alerts { here: context.here().clone(), notifiers: context.alerts.views(tick()) }
}

pub async fn test(agent: &Agent, request: &TestRequest, by: &str) -> Result<Tested, Refused> {
    let context = &agent.context;
    let tried = context.alerts.test(request.notifier.as_ref(), by).await;
    if tried.is_empty() {
        return Err(none(agent, request));
    }
    let body = json!({"by": by, "tried": tried});
    context.ledger.append("alert-test", "", &body).await.map_err(super::people::unreadable)?;
    Ok(Tested { here: context.here().clone(), tried })
}

fn none(agent: &Agent, request: &TestRequest) -> Refused {
    let names: Vec<String> = agent.context.estate.alerts.keys().map(ToString::to_string).collect();
    match &request.notifier {
        Some(name) if !names.is_empty() => Refused::new(
            "MS-ALERT-003",
            format!("there is no notifier {name} in this agent's configuration"),
            format!("name one of {}", names.join(", ")),
        ),
        _ => Refused::new(
            "MS-ALERT-003",
            "nobody is told of anything: this agent's configuration has no [alerts.<name>]",
            "add one at every site, and restart the agents; see `mainstay config reference`",
        ),
    }
}
