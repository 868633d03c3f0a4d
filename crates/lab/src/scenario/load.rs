//! Act two: clients transfer money while the link copies and then streams.

use super::agent::Agent;
use super::client_log::ClientLog;
use super::narrator::Narrator;
use super::wait::{Seen, wait_for};
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes::{self, PidFile, start_clients_process};
use mainstay_core::LinkPhase;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// A link that is not further behind than this follows.
const FOLLOWS: Duration = Duration::from_secs(1);

pub async fn start_clients(lab: &CurrentLab) -> Result<PidFile, LabError> {
    start_clients_process(&lab.plan, &lab.folder)
}

/// Returns when clients are served and the standby follows closely.
pub async fn until_it_flows(
    lab: &CurrentLab,
    narrator: &Narrator,
    log: &mut ClientLog,
) -> Result<(), LabError> {
    wait_for(lab, "the first acknowledged transfer", PATIENCE, async || {
        Ok(match log.refresh()?.acknowledged.len() {
            0 => Seen::NotYet("none yet".to_owned()),
            _ => Seen::Yes(()),
        })
    })
    .await?;
    narrator.say("the first transfers are acknowledged");
    let rows =
        wait_for(lab, "a link that follows", PATIENCE, async || link_follows(lab).await).await?;
    narrator.say(&format!("the link follows: {rows} rows came over while clients wrote"));
    Ok(())
}

async fn link_follows(lab: &CurrentLab) -> Result<Seen<u64>, LabError> {
    let bank = Agent::of(lab, processes::STANDBY).bank().await?;
    let Some(link) = bank.links.first() else {
        return Ok(Seen::NotYet("the agent names no link".to_owned()));
    };
    let follows = link.status.phase == LinkPhase::Streaming && link.status.lag.is_within(FOLLOWS);
    Ok(match follows {
        true => Seen::Yes(link.status.rows),
        false => Seen::NotYet(format!("{:?}, lag {}", link.status.phase, link.status.lag)),
    })
}

/// The moment of the disaster is the seed's: somewhere in the second half of the load.
pub async fn until_the_disaster(lab: &CurrentLab, narrator: &Narrator) {
    let wanted = &lab.plan.wanted;
    let longest = Duration::from_secs(wanted.load_seconds);
    let wait = longest.mul_f64(StdRng::seed_from_u64(wanted.seed).random_range(0.5..1.0));
    narrator.say(&format!("load for another {:.3} s", wait.as_secs_f64()));
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
