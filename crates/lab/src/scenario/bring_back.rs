//! Act five: the lost site comes back, fenced, and is brought up to date.

use super::agent::Agent;
use super::round::accepted_since;
use super::stage::Stage;
use super::wait::{Seen, wait_for};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle::CommitSpan;
use crate::processes::{start_postgres, start_site};
use mainstay_agent::types::ReturnPhase;

/// Starts the database of the lost site alone, and asks it what it last accepted, before anything
/// of Mainstay runs there. Then starts the rest.
pub async fn bring_back(
    stage: &Stage<'_>,
    site: &str,
    since: Moment,
) -> Result<CommitSpan, LabError> {
    let CurrentLab { plan, folder, secrets } = stage.lab;
    start_postgres(plan, folder, site, secrets).await?;
    let accepted = accepted_since(stage, site, since).await?;
    start_site(plan, folder, site, secrets).await?;
    stage.say(&format!("{site} runs again"));
    Ok(accepted)
}

/// Waits until the returning site is at least in this phase of its way back.
pub async fn until_phase(
    stage: &Stage<'_>,
    site: &str,
    wanted: ReturnPhase,
) -> Result<(), LabError> {
    let agent = Agent::of(stage.lab, site);
    let what = format!("phase {wanted:?} of the return of {site}");
    let mut last = None;
    wait_for(stage.lab, &what, stage.patience, async || {
        let bank = agent.bank().await?;
        let Some(returning) = bank.returning else {
            return Ok(Seen::NotYet(format!("{site} is {}, not returning", bank.state)));
        };
        if last.replace(returning.phase) != Some(returning.phase) {
            stage.say(&format!("{site}: {:?} {}", returning.phase, returning.detail));
        }
        Ok(match returning.phase >= wanted {
            true => Seen::Yes(()),
            false => Seen::NotYet(format!("{:?}: {}", returning.phase, returning.detail)),
        })
    })
    .await
}
