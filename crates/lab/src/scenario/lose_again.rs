//! The new active site dies too, in the middle of the first one's return.

use super::agent::Agent;
use super::crashes;
use super::stage::Stage;
use super::wait::{Seen, wait_for};
use super::{disaster, failover};
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::start_site;
use mainstay_agent::types::ReturnPhase;
use rand::Rng;
use std::time::Duration;

const PHASES: [ReturnPhase; 5] = [
    ReturnPhase::Fencing,
    ReturnPhase::Salvaging,
    ReturnPhase::PuttingRight,
    ReturnPhase::Streaming,
    ReturnPhase::Ready,
];
/// After the phase was seen, milliseconds: at once, in the same phase, or in one of the next.
const LATER_MS: [std::ops::Range<u64>; 3] = [0..1, 0..60, 0..1_500];
/// Longer than the lease, so that a failover would begin if one could: seconds.
const DEAD_S: std::ops::Range<f64> = 13.0..20.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// It stays dead for a while and comes back; the return has to go on by itself.
pub async fn and_wait(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let phase = PHASES[stage.random.random_range(0..PHASES.len())];
    until(stage, phase).await?;
    let kill = strike(stage).await?;
    let dead = Duration::from_secs_f64(stage.random.random_range(DEAD_S));
    stage.say(&format!("{} stays dead for {:.1} s", stage.roles.active, dead.as_secs_f64()));
    tokio::time::sleep(dead).await;
    let seen = Agent::of(stage.lab, stage.roles.other).bank().await?;
    let way = seen.returning.map_or_else(|| "none".to_owned(), |way| format!("{:?}", way.phase));
    let state = format!("{}, epoch {}, way back {way}", seen.state, seen.epoch);
    stage.say(&format!("{} meanwhile: {state}", stage.roles.other));
    disaster::mend(stage.lab).await?;
    let lab = stage.lab;
    start_site(&lab.plan, &lab.folder, stage.roles.active, &lab.secrets).await?;
    stage.say(&format!("{} runs again", stage.roles.active));
    failover::until_served(stage, Moment::now(), kill).await
}

/// A phase may be over within a tenth of a second, which is how often the others look.
async fn until(stage: &Stage<'_>, phase: ReturnPhase) -> Result<(), LabError> {
    let site = stage.roles.other;
    let what = format!("phase {phase:?} of the return of {site}");
    wait_for(stage.lab, &what, PATIENCE, async || {
        for _ in 0..50 {
            if crashes::phase(stage, site).await >= Some(phase) {
                return Ok(Seen::Yes(()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Seen::NotYet("an earlier phase".to_owned()))
    })
    .await
}

/// It dies as soon as a person may have the returning site take over.
pub async fn once_only_not_proved(stage: &mut Stage<'_>) -> Result<Moment, LabError> {
    let site = stage.roles.other;
    let agent = Agent::of(stage.lab, site);
    let what = format!("{site} to be only not proved equal");
    wait_for(stage.lab, &what, PATIENCE, async || {
        let refusals = agent.plan_failover().await?.refusals;
        Ok(match refusals.into_iter().find(|refusal| refusal.what.contains("not back")) {
            Some(refusal) => Seen::NotYet(refusal.what),
            None => Seen::Yes(()),
        })
    })
    .await?;
    strike(stage).await
}

/// With the line cut before, or with everything still connected.
async fn strike(stage: &mut Stage<'_>) -> Result<Moment, LabError> {
    let later = LATER_MS[stage.random.random_range(0..LATER_MS.len())].clone();
    let later = Duration::from_millis(stage.random.random_range(later));
    tokio::time::sleep(later).await;
    let seen = Agent::of(stage.lab, stage.roles.other).bank().await?.returning;
    let seen = seen.map(|way| format!("phase {:?}, now {:?}", way.phase, way.progress));
    stage.say(&format!("{} returns: {}", stage.roles.other, seen.unwrap_or_default()));
    match stage.random.random_bool(0.5) {
        true => disaster::strike(stage).await,
        false => disaster::kill(stage),
    }
}
