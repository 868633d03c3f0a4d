//! The lost site's agent is killed again and again while the site returns: at any moment, and as
//! soon as a phase has ended. The active site's agent is killed once.

use super::agent::Agent;
use super::stage::Stage;
use crate::error::LabError;
use crate::processes::{kill_agent, start_agent};
use mainstay_agent::types::ReturnPhase;
use rand::Rng;
use std::time::{Duration, Instant};

/// How often, within one return.
const TIMES: u32 = 7;
/// How long an agent lives at least and at most until it is killed at any moment, milliseconds.
const LIVES_MS: std::ops::Range<u64> = 20..900;
/// A phase that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Returns how often the lost site's agent was killed. Ends early when the site is back.
pub async fn while_returning(stage: &mut Stage<'_>) -> Result<u32, LabError> {
    let (lost, active) = (stage.roles.other, stage.roles.active);
    let turn_of_active = stage.random.random_range(1..TIMES);
    for time in 0..TIMES {
        let phase = moment(stage, lost, time % 2 == 1).await;
        if phase == Some(ReturnPhase::Ready) {
            return Ok(time);
        }
        crash(stage, lost, phase).await?;
        if time == turn_of_active {
            crash(stage, active, None).await?;
        }
    }
    Ok(TIMES)
}

async fn crash(stage: &Stage<'_>, site: &str, seen: Option<ReturnPhase>) -> Result<(), LabError> {
    kill_agent(&stage.lab.folder, site).await;
    let seen = seen.map_or_else(String::new, |phase| format!(", seen last in phase {phase:?}"));
    stage.say(&format!("SIGKILL to the agent at {site}{seen}"));
    start_agent(&stage.lab.plan, &stage.lab.folder, site).await
}

/// The moment of the next crash: right after a change of the phase, or any. The phase in which the
/// site was seen last.
async fn moment(stage: &mut Stage<'_>, site: &str, at_change: bool) -> Option<ReturnPhase> {
    let lives = Duration::from_millis(stage.random.random_range(LIVES_MS));
    let began = Instant::now();
    let mut first = None;
    while at_change && began.elapsed() < PATIENCE {
        let now = phase(stage, site).await;
        // The phase after it is the last; a crash comes too late there.
        if first >= Some(ReturnPhase::Streaming) {
            break;
        }
        if first.is_some() && now != first {
            return now;
        }
        first = now;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(lives).await;
    phase(stage, site).await
}

/// None while it is not known.
pub async fn phase(stage: &Stage<'_>, site: &str) -> Option<ReturnPhase> {
    let bank = Agent::of(stage.lab, site).bank().await.ok()?;
    bank.returning.map(|returning| returning.phase)
}
