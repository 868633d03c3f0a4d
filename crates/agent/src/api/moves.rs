//! Beginning a switchover or a failover that a person ordered. The site that is to become active
//! conducts it.

use super::accept;
use super::failover;
use crate::act::execution;
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::runbook::{self, steps::check};
use crate::types::{Begun, Execution, ExecutionKind, MoveRequest};
use mainstay_core::{ApplicationName, SiteName};
use serde_json::json;
use std::sync::Arc;

/// Begins the move, here or at the agent of the site that it leads to.
pub async fn begin(
    agent: &Agent,
    kind: ExecutionKind,
    request: &MoveRequest,
    asker: &Asker,
) -> Result<Begun, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    if let Some(begun) = accept::loss(application, kind, request, asker).await? {
        return Ok(begun);
    }
    let to = target(application, request.to.as_ref())?;
    let request = MoveRequest {
        application: Some(application.spec.name.clone()),
        to: Some(to.clone()),
        ..request.clone()
    };
    if to == *application.here() {
        return begin_here(agent, kind, &request, asker).await;
    }
    let peer = agent.context.peers.get(&to).ok_or_else(|| {
        refused(format!("{to} is not a site of the configuration"), "see `mainstay status`")
    })?;
    let timeout = failover::patience(application) * 2;
    peer.post("/v1/peer/move", &(kind, request, asker), timeout).await.map_err(|why| match why {
        PeerError::Refused(it) => it.into(),
        PeerError::NoAnswer { .. } => refused(why.to_string(), "start the agent of that site"),
    })
}

/// The one application, unless there are several.
pub fn pick<'a>(
    agent: &'a Agent,
    name: Option<&ApplicationName>,
) -> Result<&'a Arc<Application>, Refused> {
    match name {
        Some(name) => agent.application(name),
        None if agent.applications.len() == 1 => {
            agent.applications.values().next().ok_or_else(|| refused("no application", ""))
        }
        None => {
            let names: Vec<String> = agent.applications.keys().map(ToString::to_string).collect();
            Err(refused(
                "there are several applications",
                &format!("name one of {}", names.join(", ")),
            ))
        }
    }
}

/// The one site besides the active one, unless there are several.
pub fn target(application: &Application, to: Option<&SiteName>) -> Result<SiteName, Refused> {
    let active = {
        let known = application.known();
        known.facts.record.as_ref().map(|seen| seen.record.active.clone())
    };
    let active = active.ok_or_else(|| {
        refused("the coordinator has not answered yet", "see `mainstay status`; try again soon")
    })?;
    let others: Vec<&SiteName> =
        application.rules.data_sites.iter().filter(|site| **site != active).collect();
    match (to, others.as_slice()) {
        (Some(to), _) if *to == active => {
            Err(refused(format!("{to} is active already"), "see `mainstay status`"))
        }
        (Some(to), _) if others.contains(&to) => Ok(to.clone()),
        (Some(to), _) => {
            Err(refused(format!("{to} cannot become active"), "name a site with stores"))
        }
        (None, [only]) => Ok((*only).clone()),
        (None, _) => Err(refused("there are several other sites", "say which, with --to SITE")),
    }
}

/// Begins the move at this site, which it leads to.
pub async fn begin_here(
    agent: &Agent,
    kind: ExecutionKind,
    request: &MoveRequest,
    asker: &Asker,
) -> Result<Begun, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    target(application, Some(application.here()))?;
    let body = json!({"kind": kind, "to": application.here(), "by": asker.name,
        "reason": request.reason, "accept_loss_s": request.accept_loss_s,
        "fenced_by_hand": request.fenced_by_hand});
    failover::enter(application, "order", body).await?;
    match kind {
        ExecutionKind::Switchover => switchover(application, asker).map(Begun::Begun),
        ExecutionKind::Failover => failover::begin(application, request, asker).await,
    }
}

fn switchover(application: &Arc<Application>, asker: &Asker) -> Result<Execution, Refused> {
    if let Some(refusal) = check::refusals(application).into_iter().next() {
        return Err(refused(refusal, "see `mainstay status`; for an unplanned move: failover"));
    }
    let planned = {
        let known = application.known();
        known.facts.record.as_ref().map(|seen| (seen.record.active.clone(), seen.record.epoch))
    };
    let Some((active, epoch)) = planned else {
        return Err(refused("the coordinator has not answered yet", "try again soon"));
    };
    let execution = runbook::switchover(application, &active, epoch, &asker.name);
    if execution::begin(application, execution.clone()) {
        Ok(execution)
    } else {
        Err(refused("an execution is under way", "follow it with `mainstay executions`"))
    }
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new("MS-AGENT-012", what, advice)
}
