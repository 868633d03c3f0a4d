//! Looking at what is wrong and what happened, for all notifiers.

use super::{event, loss, turn};
use crate::agent::Agent;
use crate::api::status;
use crate::error::AgentError;
use crate::observe::repeat;
use crate::time::{tick, unix_micros};
use mainstay_alerts::Alert;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);
/// Entries of the ledger that are read at once.
const MOST_ENTRIES: u32 = 500;
/// What happened longer ago is no news: an agent that was away for a week does not tell of it.
const NEWS: Duration = Duration::from_secs(24 * 3600);

pub async fn run(agent: Agent, shutdown: CancellationToken) {
    repeat(PAUSE, shutdown, || async {
        if let Err(why) = happened(&agent).await {
            tracing::error!(%why, "what happened is not told; it is tried again");
        }
        if has_looked_around(&agent) {
            observe(&agent);
        }
        for outlet in agent.context.alerts.outlets() {
            outlet.keep(&agent.context).await;
        }
    })
    .await;
}

/// An agent that has just begun has heard nobody yet: what it misses is not wrong.
fn has_looked_around(agent: &Agent) -> bool {
    let fresh_for = agent.applications.values().map(|it| it.rules.lease.fresh_for()).max();
    tick().since(agent.context.started) > fresh_for.unwrap_or_default()
}

fn observe(agent: &Agent) {
    let problems = problems(agent);
    let (micros, now) = (unix_micros(), tick());
    for outlet in agent.context.alerts.outlets() {
        let around = turn::around(&agent.applications, outlet.name(), now);
        outlet.desk().observe(&problems, &around, micros, now);
    }
}

fn problems(agent: &Agent) -> Vec<Alert> {
    let status = status::status(&agent.context, &agent.applications);
    let now = tick();
    let mut alerts = Vec::new();
    for of in status.applications {
        let Some(application) = agent.applications.get(&of.name) else { continue };
        let loss = loss::expected(application, now);
        alerts.extend(of.problems.into_iter().map(|problem| Alert {
            application: of.name.clone(),
            kind: problem.kind.name().to_owned(),
            subject: problem.subject,
            severity: problem.severity,
            site: agent.context.here().clone(),
            what: problem.what,
            advice: problem.advice,
            loss,
        }));
    }
    alerts
}

/// The ledger is read on from where it was told. What it says is with the notifiers, durably,
/// before that place moves on.
async fn happened(agent: &Agent) -> Result<(), AgentError> {
    let context = &agent.context;
    let (head, _) = context.ledger.head();
    let Some(told) = context.memory.told_until().await? else {
        // What happened before anybody was to be told is not told.
        return context.memory.keep_told_until(head).await;
    };
    if told >= head {
        return Ok(());
    }
    let entries = context.ledger.after(told, MOST_ENTRIES).await?;
    let Some(last) = entries.last().map(|entry| entry.number) else { return Ok(()) };
    let (micros, now) = (unix_micros(), tick());
    let oldest = micros.saturating_sub(i64::try_from(NEWS.as_micros()).unwrap_or(i64::MAX));
    for entry in entries.iter().filter(|entry| entry.micros >= oldest) {
        for (index, alert) in event::alerts(agent, entry).into_iter().enumerate() {
            let number = entry.number * 10 + index as u64;
            for outlet in context.alerts.outlets() {
                outlet.desk().tell(&alert, number, entry.micros, now);
            }
        }
    }
    for outlet in context.alerts.outlets() {
        outlet.keep(context).await;
    }
    context.memory.keep_told_until(last).await
}
