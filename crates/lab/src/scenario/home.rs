//! Act seven: a planned switchover home, under load.

use super::agent::Agent;
use super::narrator::Narrator;
use super::wait::{Seen, wait_for};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes;
use mainstay_agent::api::types::{Execution, ExecutionState, MoveRequest};
use mainstay_core::SiteName;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct WayHome {
    pub execution: Execution,
    /// Just before it was asked for, and just after its end was seen.
    pub began: Moment,
    pub ended: Moment,
}

pub async fn switch_home(lab: &CurrentLab, narrator: &Narrator) -> Result<WayHome, LabError> {
    let agent = Agent::of(lab, processes::STANDBY);
    let request = MoveRequest {
        to: SiteName::new(processes::HOME).ok(),
        reason: "the lab moves home".to_owned(),
        ..MoveRequest::default()
    };
    let began = Moment::now();
    let asked = agent.switchover(&request).await?;
    narrator.say(&format!("switchover to {} asked for", processes::HOME));
    let execution =
        wait_for(lab, "the end of the switchover", PATIENCE, async || ended(lab, &asked.id).await)
            .await?;
    let ended = Moment::now();
    narrator.say(&format!("{} is active again", processes::HOME));
    Ok(WayHome { execution, began, ended })
}

/// Either site's agent may be the one that finishes it.
async fn ended(lab: &CurrentLab, id: &str) -> Result<Seen<Execution>, LabError> {
    let mut seen = Vec::new();
    for site in [processes::STANDBY, processes::HOME] {
        match Agent::of(lab, site).execution(id).await {
            Ok(execution) if execution.state == ExecutionState::Succeeded => {
                return Ok(Seen::Yes(execution));
            }
            Ok(execution) => seen.push(format!("{site}: {:?}", execution.state)),
            Err(error) => seen.push(error.to_string()),
        }
    }
    Ok(Seen::NotYet(seen.join("; ")))
}
