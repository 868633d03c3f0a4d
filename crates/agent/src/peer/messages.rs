//! What agents ask of each other.

use crate::types::{
    EqualityView, Execution, LinkView, ProbeView, Readiness, ReadsView, Return, SalvageStates,
};
use mainstay_core::watch::Minute;
use mainstay_core::{
    ApplicationName, Epoch, NotifierName, Position, Receipt, SiteName, StoreName, Tick, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `GET /v1/peer/view`: what this agent knows, for the others to judge by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct View {
    pub site: SiteName,
    pub version: String,
    /// What this agent's clock shows, for its rate.
    #[serde(default)]
    pub tick: Option<Tick>,
    /// Number and hash of its ledger's newest entry.
    pub head: (u64, String),
    pub applications: BTreeMap<ApplicationName, ApplicationView>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationView {
    pub highest: Epoch,
    /// The newest epoch whose promotion is done here; an older version does not tell.
    #[serde(default)]
    pub promoted: Option<Epoch>,
    pub state: String,
    /// This vantage's own evidence about each site, with its age in milliseconds.
    pub evidence: BTreeMap<SiteName, AgedEvidence>,
    /// What its probes of each site see.
    #[serde(default)]
    pub probes: BTreeMap<SiteName, Vec<ProbeView>>,
    /// What the clients of this site's gate see.
    #[serde(default)]
    pub clients: Option<Minute>,
    /// Links that run at this site.
    pub links: BTreeMap<StoreName, LinkView>,
    pub returning: Option<Return>,
    /// Of the stores whose links run at this site.
    #[serde(default)]
    pub equality: Vec<EqualityView>,
    /// What readers are given at this site.
    #[serde(default)]
    pub reads: Vec<ReadsView>,
    /// The newest execution that this agent conducts or conducted.
    pub execution: Option<Execution>,
    /// What became of each salvage's transactions, told by the active site.
    #[serde(default)]
    pub salvages: BTreeMap<String, SalvageStates>,
    /// What this agent tells people, by each notifier: the others leave it to this one.
    #[serde(default)]
    pub telling: BTreeMap<NotifierName, BTreeSet<String>>,
    /// What a failover to this site would fail at.
    #[serde(default)]
    pub readiness: Option<Readiness>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgedEvidence {
    pub verdict: Verdict,
    pub age_ms: u64,
    pub why: String,
}

/// `POST /v1/peer/promise`: the active site asks a candidate not to act for one lease time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PromiseRequest {
    pub application: ApplicationName,
    pub epoch: Epoch,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PromiseAnswer {
    pub given: bool,
}

/// `POST /v1/peer/hold`, `/v1/peer/fence` and `/v1/peer/resume`: steps of a switchover that are
/// made at the active site. All are safe to ask twice for the same execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepRequest {
    pub application: ApplicationName,
    pub execution: String,
    /// The epoch that the conductor means to end. Refused when it is no longer the newest.
    pub epoch: Epoch,
    pub to: SiteName,
    /// How long the active site waits before it takes over again by itself.
    pub hold_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldAnswer {
    /// Nothing is under way at the gate any more.
    pub drained: bool,
    pub in_flight: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FenceAnswer {
    pub receipt: Receipt,
    /// Where each store ended.
    pub positions: BTreeMap<StoreName, Position>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    pub done: bool,
}
