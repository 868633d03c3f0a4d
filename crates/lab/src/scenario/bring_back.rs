//! Act five: the lost site comes back, fenced, and is brought up to date.

use super::agent::Agent;
use super::narrator::Narrator;
use super::wait::{Seen, wait_for};
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle::{self, CommitSpan};
use crate::processes::{self, start_postgres, start_site};
use mainstay_agent::api::types::ReturnPhase;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// Starts the database of the lost site alone, and asks it what it last accepted, before anything
/// of Mainstay runs there. Then starts the rest.
pub async fn bring_back(lab: &CurrentLab, narrator: &Narrator) -> Result<CommitSpan, LabError> {
    let CurrentLab { plan, folder, secrets } = lab;
    start_postgres(plan, folder, processes::HOME, secrets).await?;
    let accepted = oracle::commits_accepted_by(lab, processes::HOME, processes::HOME, None).await?;
    start_site(plan, folder, processes::HOME, secrets).await?;
    narrator.say(&format!("{} runs again", processes::HOME));
    Ok(accepted)
}

/// Waits until the returning site is at least in this phase of its way back.
pub async fn until_phase(
    lab: &CurrentLab,
    narrator: &Narrator,
    wanted: ReturnPhase,
) -> Result<(), LabError> {
    let agent = Agent::of(lab, processes::HOME);
    let what = format!("phase {wanted:?} of the return of {}", processes::HOME);
    let mut last = None;
    wait_for(lab, &what, PATIENCE, async || {
        let bank = agent.bank().await?;
        let Some(returning) = bank.returning else {
            return Ok(Seen::NotYet(format!(
                "{} is {}, not returning",
                processes::HOME,
                bank.state
            )));
        };
        if last.replace(returning.phase) != Some(returning.phase) {
            narrator.say(&format!(
                "{}: {:?} {}",
                processes::HOME,
                returning.phase,
                returning.detail
            ));
        }
        Ok(match returning.phase >= wanted {
            true => Seen::Yes(()),
            false => Seen::NotYet(format!("{:?}: {}", returning.phase, returning.detail)),
        })
    })
    .await
}
