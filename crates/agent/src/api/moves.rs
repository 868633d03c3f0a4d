//! Beginning a switchover or a failover that a person ordered. The site that is to become active
//! conducts it.

use super::accept;
use super::agent::Agent;
use super::types::{Execution, ExecutionKind, MoveRequest};
use crate::act::execution;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::runbook::{self, steps::check};
use crate::time::tick;
use mainstay_core::decision::{Hindrance, Order};
use mainstay_core::{ApplicationName, SiteName};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Beyond the rest of the lease, for the claim itself.
const CLAIM: Duration = Duration::from_secs(5);

/// Begins the move, here or at the agent of the site that it leads to.
pub async fn begin(
    agent: &Agent,
    kind: ExecutionKind,
    request: &MoveRequest,
) -> Result<Execution, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    if let Some(execution) = accept::loss(application, kind, request).await? {
        return Ok(execution);
    }
    let to = target(application, request.to.as_ref())?;
    let request = MoveRequest {
        application: Some(application.spec.name.clone()),
        to: Some(to.clone()),
        ..request.clone()
    };
    if to == *application.here() {
        return begin_here(agent, kind, &request).await;
    }
    let peer = agent.context.peers.get(&to).ok_or_else(|| {
        refused(format!("{to} is not a site of the configuration"), "see `mainstay status`")
    })?;
    let timeout = application.spec.lease * 2 + CLAIM;
    peer.post("/v1/peer/move", &(kind, request), timeout).await.map_err(|why| match why {
        PeerError::Refused(it) => Refused::new("MS-AGENT-012", it.message, it.advice),
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
) -> Result<Execution, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    target(application, Some(application.here()))?;
    let body = json!({"kind": kind, "to": application.here(), "by": request.by,
        "reason": request.reason, "accept_loss_s": request.accept_loss_s});
    application
        .enter("order", body)
        .await
        .map_err(|why| refused(why.to_string(), "nothing is begun that cannot be recorded"))?;
    match kind {
        ExecutionKind::Switchover => switchover(application),
        ExecutionKind::Failover => failover(application, request).await,
    }
}

fn switchover(application: &Arc<Application>) -> Result<Execution, Refused> {
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
    let execution = runbook::switchover(application, &active, epoch);
    if execution::begin(application, execution.clone()) {
        Ok(execution)
    } else {
        Err(refused("an execution is under way", "follow it with `mainstay executions`"))
    }
}

/// Lets the decision go on in spite of what a person may outweigh, and waits for the claim.
async fn failover(
    application: &Arc<Application>,
    request: &MoveRequest,
) -> Result<Execution, Refused> {
    let accept_loss = request.accept_loss_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    application.learn(|known| known.facts.order = Some(Order { accept_loss }));
    let obeyed = obey(application).await;
    application.learn(|known| known.facts.order = None);
    obeyed
}

async fn obey(application: &Arc<Application>) -> Result<Execution, Refused> {
    let before = application.epochs().highest;
    let deadline = tick().plus(application.spec.lease * 2 + CLAIM);
    loop {
        if let Some(execution) = begun(application, before) {
            return Ok(execution);
        }
        let lasting = lasting_hindrances(application);
        if let Some(hindrance) = lasting.first() {
            return Err(refused(hindrance.to_string(), advice(hindrance)));
        }
        if tick() > deadline {
            return Err(refused(
                "the active site still renews its lease",
                "it is alive: use `mainstay switchover`, or stop it first",
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn begun(application: &Application, before: mainstay_core::Epoch) -> Option<Execution> {
    let known = application.known();
    let execution = known.execution.as_ref()?;
    (execution.epoch > before && execution.kind == ExecutionKind::Failover)
        .then(|| execution.clone())
}

/// What waiting for the lease to run out will not change.
fn lasting_hindrances(application: &Application) -> Vec<Hindrance> {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let Some(seen) = known.facts.record.clone() else { return Vec::new() };
    if seen.record.active == known.facts.here {
        return Vec::new();
    }
    known.lasting_hindrances(&application.rules, &seen, now)
}

fn advice(hindrance: &Hindrance) -> &'static str {
    match hindrance {
        Hindrance::LagOverBound { .. } => {
            "see `mainstay plan failover`; accept the loss with --accept-loss"
        }
        Hindrance::CoordinatorSilent => "nobody can fail over until it does; see `mainstay status`",
        Hindrance::Returning => "see `mainstay status` for where its way back stands",
        _ => "see `mainstay status`",
    }
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new("MS-AGENT-012", what, advice)
}
