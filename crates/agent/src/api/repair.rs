//! Repair on a person's word. It is made at the standby, whichever agent is asked.

use super::moves::{pick, target};
use crate::act::repair::{self, REFUSED};
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::{Peer, PeerError};
use crate::people::Asker;
use crate::types::{RepairRequest, RepairSummary, UndoRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Until a repair has begun.
const TIMEOUT: Duration = Duration::from_secs(15);
const ASK: Duration = Duration::from_secs(3);
/// An undo answers when it is done.
const UNDO: Duration = Duration::from_secs(3600);

pub async fn begin(
    agent: &Agent,
    request: &RepairRequest,
    asker: &Asker,
) -> Result<RepairSummary, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let Some(peer) = standby(application)? else {
        return begin_here(agent, request, asker).await;
    };
    let name = Some(application.spec.name.clone());
    let request = RepairRequest { application: name, ..request.clone() };
    ask(peer, "/v1/peer/repair", &(request, asker), TIMEOUT).await
}

pub async fn begin_here(
    agent: &Agent,
    request: &RepairRequest,
    asker: &Asker,
) -> Result<RepairSummary, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let store = request.store.as_ref().or_else(|| application.first_postgres());
    let store =
        store.ok_or_else(|| refused("the application has no store of kind postgres".to_owned()))?;
    repair::begin(application, store, request, &asker.name).await
}

pub async fn undo(
    agent: &Agent,
    request: &UndoRequest,
    asker: &Asker,
) -> Result<RepairSummary, Refused> {
    let found = list(agent).await?.into_iter().find(|one| one.id == request.id);
    let found = found.ok_or_else(|| none(&request.id))?;
    match agent.context.peers.get(&found.site) {
        Some(peer) => ask(peer, "/v1/peer/repair/undo", &(request, asker), UNDO).await,
        None => undo_here(agent, request, asker).await,
    }
}

pub async fn undo_here(
    agent: &Agent,
    request: &UndoRequest,
    asker: &Asker,
) -> Result<RepairSummary, Refused> {
    let (application, _) = find_here(agent, &request.id).await?;
    repair::undo(&application, &request.id, &request.reason, &asker.name).await
}

/// The repairs of all sites that answer, the newest first.
pub async fn list(agent: &Agent) -> Result<Vec<RepairSummary>, Refused> {
    let mut all = list_here(agent).await?;
    for peer in agent.context.peers.values() {
        let answer: Result<Vec<RepairSummary>, _> = peer.get("/v1/peer/repairs", ASK).await;
        match answer {
            Ok(theirs) => all.extend(theirs),
            Err(why) => tracing::info!(site = %peer.site(), %why, "its repairs are not known"),
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.started_micros));
    Ok(all)
}

pub async fn list_here(agent: &Agent) -> Result<Vec<RepairSummary>, Refused> {
    let mut all = Vec::new();
    for application in agent.applications.values() {
        all.extend(repair::list(application).await.map_err(refused)?);
    }
    Ok(all)
}

pub async fn one(agent: &Agent, id: &str) -> Result<RepairSummary, Refused> {
    if let Ok((_, found)) = find_here(agent, id).await {
        return Ok(found);
    }
    let found = list(agent).await?.into_iter().find(|one| one.id == id);
    found.ok_or_else(|| none(id))
}

/// The repair whose record lies at this site.
pub async fn find_here(
    agent: &Agent,
    id: &str,
) -> Result<(Arc<Application>, RepairSummary), Refused> {
    for application in agent.applications.values() {
        let found = repair::list(application).await.map_err(refused)?;
        if let Some(found) = found.into_iter().find(|one| one.id == id) {
            return Ok((application.clone(), found));
        }
    }
    Err(none(id))
}

/// The standby's agent, when it is not this one.
fn standby(application: &Application) -> Result<Option<&Arc<Peer>>, Refused> {
    let standby = target(application, None)?;
    Ok(application.context.peers.get(&standby))
}

async fn ask<Q: Serialize, A: DeserializeOwned>(
    peer: &Peer,
    path: &str,
    question: &Q,
    timeout: Duration,
) -> Result<A, Refused> {
    peer.post(path, question, timeout).await.map_err(|why| match why {
        PeerError::Refused(it) => Refused::new(REFUSED, it.message, it.advice),
        PeerError::NoAnswer { .. } => refused(why.to_string()),
    })
}

fn none(id: &str) -> Refused {
    let what = format!("there is no repair {id:?} at a site that answers");
    Refused::new(REFUSED, what, "list them with `mainstay repair list`")
}

fn refused(what: String) -> Refused {
    Refused::new(REFUSED, what, "see `mainstay status`")
}
