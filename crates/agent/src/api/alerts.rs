//! What waits to be told, what was told last, and trying a notifier.

use crate::agent::Agent;
use crate::error::Refused;
use crate::time::tick;
use crate::types::{Alerts, TestRequest, Tested};
use serde_json::json;

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
