//! What a move would do and lose if it began now.

use super::{ExecutionKind, Return};
use mainstay_core::{ApplicationName, Epoch, SiteName};
use serde::{Deserialize, Serialize};

/// `GET /v1/plan?kind=failover|switchover`: what would be done, and lost, if it began now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub application: ApplicationName,
    pub kind: ExecutionKind,
    pub epoch: Epoch,
    pub from: Option<SiteName>,
    pub to: SiteName,
    pub steps: Vec<PlannedStep>,
    /// Upper bound of acknowledged work that would be lost, seconds; none when unknown.
    pub loss_bound_s: Option<f64>,
    /// How long the last execution of this kind took, and each step's last duration.
    pub last_took_s: Option<f64>,
    /// The sum of what each step is expected to take; steps never made count nothing.
    #[serde(default)]
    pub expected_s: Option<f64>,
    /// What the objective leaves when all goes as expected, seconds; below 0 it is missed.
    #[serde(default)]
    pub rto_left_s: Option<f64>,
    /// The way back of the site that the move leads to: how it got what it lacked, and why so.
    #[serde(default)]
    pub returning: Option<Return>,
    /// What stands in the way.
    pub refusals: Vec<Refusal>,
    /// Of a failover: another one when something else would be done, outweighed or lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedStep {
    pub name: String,
    pub what: String,
    pub last_took_s: Option<f64>,
    pub point_of_no_return: bool,
    /// The median of past executions.
    #[serde(default)]
    pub expected_s: Option<f64>,
    /// Why it would fail now, as far as that can be seen without touching anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Why a move would be refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    pub what: String,
    pub advice: String,
}

/// Body of `POST /v1/failover`, `/v1/switchover`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MoveRequest {
    pub application: Option<ApplicationName>,
    pub to: Option<SiteName>,
    /// Failover only: go on although up to so many seconds of work would be lost.
    pub accept_loss_s: Option<f64>,
    /// Failover only: the person's word that the active site is off, and how they know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced_by_hand: Option<String>,
    pub reason: String,
    /// Failover only: the hash of the plan by which the person decided; refused when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// What a failover to a site would fail at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    pub looked_micros: i64,
    /// By step.
    pub missing: Vec<(String, String)>,
}
