//! The agent that conducts the failover is killed at one durable write after another, from the
//! claim of the epoch until the failover is done: twice after its first write, then twice after two
//! more, twice after three more, and so on.

use super::etcd::etcdctl;
use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, PidFile, STANDBY, kill_site, start_agent};
use crate::scenario::Agent;
use mainstay_agent::types::{ExecutionState, StepState};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RESUMES_WITHIN: Duration = Duration::from_secs(5);
/// An agent that writes nothing for so long has nothing left to write.
const QUIET: Duration = Duration::from_secs(4);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    let mut kills: u32 = 0;
    let mut slowest = Duration::ZERO;
    until_claimed(stage).await?;
    // The seed decides with how many writes it begins. A failover that nothing holds up has a dozen.
    let first = 1 + u32::try_from(stage.outcome.seed % 2).unwrap_or_default();
    while !succeeded(stage).await {
        // More and more, so that it comes to its end.
        if kill_after(stage, first + kills / 2)? {
            kills += 1;
            let restarted = Instant::now();
            start_agent(&stage.lab.plan, &stage.lab.folder, STANDBY).await?;
            slowest = slowest.max(goes_on(stage, restarted).await?);
        }
    }
    stage.figure("kills", f64::from(kills));
    stage.figure("resumes_after_ms", slowest.as_secs_f64() * 1000.0);
    stage.expect(kills >= 3, "it was killed three times at least");
    stage.expect(slowest <= RESUMES_WITHIN, "it resumes within 5 s");
    stage.accepted_by(STANDBY, fault).await?;
    once(stage).await?;
    let record = stage.record()?;
    let accepted = record.first_by(STANDBY, fault).map_or(0, |it| it.at_us - fault.mono_us);
    stage.figure("rto_with_kills_ms", judge::ms(accepted));
    let overlap = judge::ms(record.overlap_us(HOME, STANDBY));
    stage.figure("overlap_ms", overlap);
    stage.expect(overlap == 0.0, "both sites are never writable at once");
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await
}

async fn until_claimed(stage: &Stage) -> Result<(), LabError> {
    let began = Instant::now();
    while began.elapsed() < super::stage::PATIENCE {
        if record(stage).await?.contains("\"epoch\":2") {
            return Ok(());
        }
    }
    Err(std::io::Error::other("nobody did")).doing(|| "see epoch 2 claimed".to_owned())
}

async fn record(stage: &Stage) -> Result<String, LabError> {
    etcdctl(stage, STANDBY, &["get", "mainstay/bank", "--print-value-only"]).await
}

async fn succeeded(stage: &Stage) -> bool {
    let executions = Agent::of(&stage.lab, STANDBY).executions().await.unwrap_or_default();
    executions.first().is_some_and(|it| it.state == ExecutionState::Succeeded)
}

/// False when it did not write so often.
fn kill_after(stage: &Stage, writes: u32) -> Result<bool, LabError> {
    let agent = PidFile::read(&stage.lab.folder.pid(&format!("{STANDBY}-agent")));
    let Some(agent) = agent else { return Ok(false) };
    let mut before = logs(stage);
    let mut seen = 0;
    let mut last = Instant::now();
    while last.elapsed() < QUIET {
        // A look takes some microseconds, so the kill comes right after the write.
        let now = logs(stage);
        if now == before {
            continue;
        }
        (before, last) = (now, Instant::now());
        seen += 1;
        if seen == writes {
            agent.signal(Signal::SIGKILL);
            while agent.is_alive() {}
            stage.say(&format!("SIGKILL to the agent at west after {writes} writes"));
            return Ok(true);
        }
    }
    Ok(false)
}

/// How long the write-ahead logs of journal and ledger are: each write makes one longer.
fn logs(stage: &Stage) -> [u64; 2] {
    let state = stage.lab.folder.state(STANDBY);
    let length = |file: PathBuf| std::fs::metadata(file).map_or(0, |it| it.len());
    [length(state.join("state.db-wal")), length(state.join("ledger.db-wal"))]
}

/// How long it takes until the failover's execution is under way again, or done.
async fn goes_on(stage: &Stage, restarted: Instant) -> Result<Duration, LabError> {
    stage
        .until("the execution goes on", async |stage| {
            let executions = Agent::of(&stage.lab, STANDBY).executions().await?;
            let state = stage.status(STANDBY).await?.state;
            let under_way = |state: &str| ["promoting", "active"].contains(&state);
            Ok(under_way(&state)
                || executions.first().is_some_and(|it| it.state == ExecutionState::Succeeded))
        })
        .await?;
    Ok(restarted.elapsed())
}

/// One epoch, one execution, each step done; by etcd and the database that what they do was done
/// once.
async fn once(stage: &mut Stage) -> Result<(), LabError> {
    let record = record(stage).await?;
    stage.expect(record.contains("\"epoch\":2"), format!("one epoch was made: {record}"));
    let executions = Agent::of(&stage.lab, STANDBY).executions().await?;
    stage.expect(executions.len() == 1, format!("one execution: {}", executions.len()));
    let all = |it: &mainstay_agent::types::Execution| {
        it.steps.iter().all(|step| step.state == StepState::Done)
    };
    stage.expect(executions.iter().all(all), "each step is done");
    let slots = stage.sql(STANDBY, "SELECT slot_name FROM pg_replication_slots").await?;
    stage.expect(slots.len() == 1, format!("the way back is pinned once: {slots:?}"));
    Ok(())
}
