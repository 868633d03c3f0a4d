//! Act four: the other site takes over, by itself.

use super::agent::Agent;
use super::client_log::ClientLog;
use super::narrator::Narrator;
use super::wait::{Seen, wait_for};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle::{self, ClientRecord, Lost};
use crate::processes;
use mainstay_agent::api::types::{Execution, ExecutionKind, ExecutionState};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// Returns the execution once a client was served by the new site and the execution has ended.
pub async fn await_failover(
    lab: &CurrentLab,
    narrator: &Narrator,
    log: &mut ClientLog,
    kill: Moment,
) -> Result<Execution, LabError> {
    wait_for(lab, "a transfer acknowledged after the disaster", PATIENCE, async || {
        Ok(served_since(log.refresh()?, kill))
    })
    .await?;
    narrator.say(&format!("clients are served by {}", processes::STANDBY));
    wait_for(lab, "the end of the failover", PATIENCE, async || {
        newest(lab, processes::STANDBY, ExecutionKind::Failover).await
    })
    .await
}

/// Answers that were on their way when the site died come within a moment; what comes through the
/// other gate much later is from the new site.
fn served_since(record: &ClientRecord, kill: Moment) -> Seen<()> {
    let after = record.acknowledged.iter().filter(|ack| ack.at.mono_us > kill.mono_us + 500_000);
    match after.count() {
        0 => Seen::NotYet("none yet".to_owned()),
        _ => Seen::Yes(()),
    }
}

async fn newest(
    lab: &CurrentLab,
    site: &str,
    kind: ExecutionKind,
) -> Result<Seen<Execution>, LabError> {
    let executions = Agent::of(lab, site).executions().await?;
    let Some(execution) = executions.into_iter().find(|execution| execution.kind == kind) else {
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
pub async fn count_the_lost(
    lab: &CurrentLab,
    narrator: &Narrator,
    log: &mut ClientLog,
) -> Result<Vec<Lost>, LabError> {
    // The logs first: what is acknowledged after this read is in the database all the more.
    let acknowledged = log.refresh()?;
    let present = oracle::transfers_at(lab, processes::STANDBY).await?;
    let lost = oracle::lost(acknowledged, &present);
    narrator.say(&format!(
        "{} acknowledged transfers are not at {}",
        lost.len(),
        processes::STANDBY
    ));
    Ok(lost)
}
