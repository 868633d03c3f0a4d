//! Act two: clients transfer money while the link copies and then streams.

use super::agent::Agent;
use super::stage::Stage;
use super::wait::{Seen, wait_for};
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes::{PidFile, start_clients_process};
use mainstay_core::LinkPhase;
use rand::Rng;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// A link that is not further behind than this follows.
const FOLLOWS: Duration = Duration::from_secs(1);

pub async fn start_clients(lab: &CurrentLab) -> Result<PidFile, LabError> {
    start_clients_process(&lab.plan, &lab.folder)
}

/// Returns when clients are served and the standby follows closely.
pub async fn until_it_flows(stage: &mut Stage<'_>) -> Result<(), LabError> {
    let (lab, log, standby) = (stage.lab, &mut stage.log, stage.roles.other);
    wait_for(lab, "the first acknowledged transfer", PATIENCE, async || {
        Ok(match log.refresh()?.acknowledged.len() {
            0 => Seen::NotYet("none yet".to_owned()),
            _ => Seen::Yes(()),
        })
    })
    .await?;
    stage.say("the first transfers are acknowledged");
    let rows = until_the_link_follows(lab, standby).await?;
    stage.say(&format!("the link follows: {rows} rows came over while clients wrote"));
    Ok(())
}

/// Returns how many rows came over.
pub async fn until_the_link_follows(lab: &CurrentLab, standby: &str) -> Result<u64, LabError> {
    wait_for(lab, "a link that follows", PATIENCE, async || link_follows(lab, standby).await).await
}

async fn link_follows(lab: &CurrentLab, standby: &str) -> Result<Seen<u64>, LabError> {
    let agent = Agent::of(lab, standby);
    let bank = agent.bank().await?;
    let Some(link) = bank.links.first() else {
        return Ok(Seen::NotYet("the agent names no link".to_owned()));
    };
    let follows = link.status.phase == LinkPhase::Streaming && link.status.lag.is_within(FOLLOWS);
    if !follows {
        return Ok(Seen::NotYet(format!("{:?}, lag {}", link.status.phase, link.status.lag)));
    }
    // A link that just began may not have heard from its source since: then a failover asks a
    // person.
    Ok(match agent.plan_failover().await?.loss_bound_s {
        Some(_) => Seen::Yes(link.status.rows),
        None => Seen::NotYet("what a failover would lose is unknown".to_owned()),
    })
}

/// The moment of the disaster is the seed's: somewhere in the second half of the load.
pub async fn until_the_disaster(stage: &mut Stage<'_>) {
    let longest = Duration::from_secs(stage.lab.plan.wanted.load_seconds);
    let wait = longest.mul_f64(stage.random.random_range(0.5..1.0));
    stage.say(&format!("load for another {:.3} s", wait.as_secs_f64()));
    tokio::time::sleep(wait).await;
}

/// Clients finish what they have begun, then end.
pub async fn stop_clients(lab: &CurrentLab, clients: &PidFile) -> Result<(), LabError> {
    clients.signal(nix::sys::signal::Signal::SIGTERM);
    wait_for(lab, "the end of the clients", PATIENCE, async || {
        Ok(match clients.is_alive() {
            true => Seen::NotYet("they still run".to_owned()),
            false => Seen::Yes(()),
        })
    })
    .await
}
