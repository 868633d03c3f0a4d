//! What one person asks for and another one has to approve.

use super::Execution;
use mainstay_core::{ApplicationName, Epoch, SiteName};
use serde::{Deserialize, Serialize};

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
