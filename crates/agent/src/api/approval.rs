//! What one person asks for and another one has to approve: listed, approved, withdrawn, at
//! whichever agent. The agent of the site that would take over keeps it.

use super::agent::Agent;
use super::failover;
use super::types::Execution;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::people::requests::unknown;
use crate::time::tick;
use mainstay_core::{ApplicationName, Epoch, SiteName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// `GET /v1/requests`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    pub id: String,
    pub application: ApplicationName,
    pub from: SiteName,
    /// Whose agent keeps the request: the site that would take over.
    pub to: SiteName,
    /// The epoch that the failover would make.
    pub epoch: Epoch,
    /// The hash of the plan as it was when this was asked for.
    pub plan: String,
    /// What would be outweighed; nothing where only an approver's word was missing.
    pub forced: Vec<Forced>,
    /// Upper bound of acknowledged work that would be lost, seconds; none when unknown.
    pub loss_bound_s: Option<f64>,
    /// What of it is accepted, where it is over the bound.
    pub accept_loss_s: Option<f64>,
    /// The person's word that the active site is off, in place of its lease.
    #[serde(default)]
    pub fenced_by_hand: Option<String>,
    pub by: String,
    pub reason: String,
    pub asked_micros: i64,
    /// It expires after so many seconds; 0 when it has ended.
    pub left_s: f64,
    pub state: RequestState,
    /// By whom it was ended, or why.
    pub detail: String,
}

/// One thing that protects the data and would be outweighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    pub name: String,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestState {
    Open,
    Approved,
    Withdrawn,
    Expired,
    /// What would be done is not any more what was asked for.
    Void,
}

impl RequestState {
    pub fn name(self) -> &'static str {
        match self {
            RequestState::Open => "open",
            RequestState::Approved => "approved",
            RequestState::Withdrawn => "withdrawn",
            RequestState::Expired => "expired",
            RequestState::Void => "void",
        }
    }
}

/// What an order comes to: it is begun, or waits for another person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Begun {
    Asked { request: ApprovalRequest },
    Begun(Execution),
}

/// Body of `POST /v1/approve` and `POST /v1/withdraw`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestId {
    pub id: String,
}

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
