//! What one person asks for and another one has to approve: listed, approved, withdrawn, at
//! whichever agent. The agent of the site that would take over keeps it.

use super::failover;
use crate::agent::Agent;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::people::requests::unknown;
use crate::time::tick;
use crate::types::{ApprovalRequest, Execution, RequestState};
use mainstay_core::SiteName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Between agents: whose word it is was found by the one that was asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    pub id: String,
    pub person: Asker,
}

/// Another site answers from what it holds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The requests at this site, and at every other that answers.
pub async fn list(agent: &Agent) -> Result<Vec<ApprovalRequest>, Refused> {
    let mut all = list_here(agent).await?;
    let peers = agent.context.peers.values();
    let told = peers.map(|peer| peer.get::<Vec<ApprovalRequest>>("/v1/peer/requests", TIMEOUT));
    all.extend(futures::future::join_all(told).await.into_iter().flatten().flatten());
    all.sort_by_key(|it| (it.state != RequestState::Open, std::cmp::Reverse(it.asked_micros)));
    Ok(all)
}

pub async fn list_here(agent: &Agent) -> Result<Vec<ApprovalRequest>, Refused> {
    let mut all = Vec::new();
    for application in agent.applications.values() {
        failover::sweep(application).await;
        all.extend(application.requests.list(tick()));
    }
    Ok(all)
}

/// Approves a request, wherever it is kept, and has the failover begun.
pub async fn approve(agent: &Agent, id: &str, person: Asker) -> Result<Execution, Refused> {
    let request = find(agent, id).await?;
    let application = agent.application(&request.application)?;
    let word = Word { id: request.id, person };
    if request.to == *application.here() {
        return approve_here(agent, &word).await;
    }
    let timeout = failover::patience(application) + TIMEOUT;
    pass(agent, &request.to, "/v1/peer/approve", &word, timeout).await
}

pub async fn withdraw(agent: &Agent, id: &str, person: Asker) -> Result<ApprovalRequest, Refused> {
    let request = find(agent, id).await?;
    let word = Word { id: request.id, person };
    if request.to == *agent.context.here() {
        return withdraw_here(agent, &word).await;
    }
    pass(agent, &request.to, "/v1/peer/withdraw", &word, TIMEOUT).await
}

pub async fn approve_here(agent: &Agent, word: &Word) -> Result<Execution, Refused> {
    let request = find_here(agent, &word.id).await?;
    let application = agent.application(&request.application)?;
    failover::approved(application, &word.id, &word.person).await
}

pub async fn withdraw_here(agent: &Agent, word: &Word) -> Result<ApprovalRequest, Refused> {
    let request = find_here(agent, &word.id).await?;
    let application = agent.application(&request.application)?;
    let ended = application.requests.withdraw(&word.id, &word.person, tick())?;
    let body = json!({"request": ended.id, "by": word.person.name, "of": ended.by});
    failover::enter(application, "withdrawn", body).await?;
    Ok(ended)
}

async fn find(agent: &Agent, id: &str) -> Result<ApprovalRequest, Refused> {
    list(agent).await?.into_iter().find(|it| it.id == id).ok_or_else(|| unknown(id))
}

async fn find_here(agent: &Agent, id: &str) -> Result<ApprovalRequest, Refused> {
    list_here(agent).await?.into_iter().find(|it| it.id == id).ok_or_else(|| unknown(id))
}

async fn pass<T: serde::de::DeserializeOwned>(
    agent: &Agent,
    to: &SiteName,
    path: &str,
    word: &Word,
    timeout: Duration,
) -> Result<T, Refused> {
    let peer = agent.context.peers.get(to).ok_or_else(|| unknown(&word.id))?;
    peer.post(path, word, timeout).await.map_err(|why| match why {
        PeerError::Refused(refusal) => refusal.into(),
        PeerError::NoAnswer { .. } => Refused::new(
            "MS-AGENT-012",
            format!("{why}; whether it was done is not known"),
            "see `mainstay requests` and `mainstay executions`",
        ),
    })
}
