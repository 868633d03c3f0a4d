//! Act seven: a planned switchover, under load.

use super::agent::Agent;
use super::stage::Stage;
use super::wait::{Seen, wait_for};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use mainstay_agent::types::{Execution, ExecutionState, MoveRequest};
use mainstay_core::SiteName;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct WayHome {
    pub execution: Execution,
    /// Just before it was asked for, and just after its end was seen.
    pub began: Moment,
    pub ended: Moment,
}

/// To the site that is not active.
pub async fn switch(stage: &mut Stage<'_>) -> Result<WayHome, LabError> {
    let (active, to) = (stage.roles.active, stage.roles.other);
    let request = MoveRequest {
        to: SiteName::new(to).ok(),
        reason: "the lab moves home".to_owned(),
        ..MoveRequest::default()
    };
    let began = Moment::now();
    let asked = Agent::of(stage.lab, active).switchover(&request).await?;
    stage.say(&format!("switchover to {to} asked for"));
    let lab = stage.lab;
    let execution = wait_for(lab, "the end of the switchover", PATIENCE, async || {
        ended(lab, &[active, to], &asked.id).await
    })
    .await?;
    let ended = Moment::now();
    stage.say(&format!("{to} is active again"));
    stage.roles = stage.roles.swapped();
    Ok(WayHome { execution, began, ended })
}

/// Either site's agent may be the one that finishes it.
async fn ended(lab: &CurrentLab, sites: &[&str], id: &str) -> Result<Seen<Execution>, LabError> {
    let mut seen = Vec::new();
    for site in sites {
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
