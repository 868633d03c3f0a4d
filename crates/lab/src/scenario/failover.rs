//! Act four: the other site takes over, by itself or because a person says so.

use super::agent::Agent;
use super::stage::Stage;
use super::wait::{Seen, wait_for};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle::{self, ClientRecord, Lost};
use mainstay_agent::types::{Execution, ExecutionKind, ExecutionState, MoveRequest};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// A person has the site that is left take over.
pub async fn order(stage: &Stage<'_>, accept_loss_s: f64) -> Result<(), LabError> {
    let request = MoveRequest {
        accept_loss_s: Some(accept_loss_s),
        reason: "the lab has nothing else left".to_owned(),
        ..MoveRequest::default()
    };
    let site = stage.roles.other;
    stage.say(&format!("a person orders a failover to {site}"));
    // Until the evidence is in, the order may be refused; a person types it again.
    wait_for(stage.lab, "an obeyed order", PATIENCE, async || {
        Agent::of(stage.lab, site).failover(&request).await.map(Seen::Yes)
    })
    .await
    .map(drop)
}

/// Returns the execution once a client was served by the new site and the execution has ended.
pub async fn await_failover(stage: &mut Stage<'_>, kill: Moment) -> Result<Execution, LabError> {
    until_served(stage, kill, kill).await?;
    let (lab, site) = (stage.lab, stage.roles.other);
    stage.say(&format!("clients are served by {site}"));
    wait_for(lab, "the end of the failover", PATIENCE, async || {
        newest(lab, site, ExecutionKind::Failover, kill).await
    })
    .await
}

/// Waits until a client is served that was not since the disaster.
pub async fn until_served(
    stage: &mut Stage<'_>,
    since: Moment,
    kill: Moment,
) -> Result<(), LabError> {
    let log = &mut stage.log;
    let since = since.mono_us.max(kill.mono_us + STRAY_US);
    wait_for(stage.lab, "a transfer acknowledged after the disaster", PATIENCE, async || {
        Ok(served_since(log.refresh()?, since))
    })
    .await
}

/// Answers that were on their way when the site died come within a moment; what comes through the
/// other gate much later is from the new site.
pub const STRAY_US: i64 = 500_000;

pub fn served_since(record: &ClientRecord, since_us: i64) -> Seen<()> {
    match record.acknowledged.iter().any(|ack| ack.at.mono_us > since_us) {
        false => Seen::NotYet("none yet".to_owned()),
        true => Seen::Yes(()),
    }
}

async fn newest(
    lab: &CurrentLab,
    site: &str,
    kind: ExecutionKind,
    since: Moment,
) -> Result<Seen<Execution>, LabError> {
    let executions = Agent::of(lab, site).executions().await?;
    let of_now = |it: &Execution| it.kind == kind && it.started_micros >= since.wall_us;
    let Some(execution) = executions.into_iter().find(of_now) else {
        return Ok(Seen::NotYet(format!("no {kind:?} at {site}")));
    };
    Ok(match execution.state {
        ExecutionState::Succeeded => Seen::Yes(execution),
        state => Seen::NotYet(format!("{state:?} at step {}", current_step(&execution))),
    })
}

fn current_step(execution: &Execution) -> String {
    let unfinished = execution.steps.iter().find(|step| step.ended_micros.is_none());
    unfinished.map_or_else(|| "(none)".to_owned(), |step| format!("{}: {}", step.name, step.detail))
}

/// What was acknowledged and is not at the new site: asked of the new site's database itself.
pub async fn count_the_lost(stage: &mut Stage<'_>) -> Result<Vec<Lost>, LabError> {
    // The logs first: what is acknowledged after this read is in the database all the more.
    stage.log.refresh()?;
    let site = stage.roles.active;
    let present = oracle::transfers_at(stage.lab, site).await?;
    let lost = oracle::lost(&stage.log.record, &present);
    stage.say(&format!("{} acknowledged transfers are not at {site}", lost.len()));
    Ok(lost)
}
