//! The JSON of the agent's API. The CLI, the lab and the other agents read these types.

mod comparing;
mod plan;

pub use comparing::{
    ComparisonState, ComparisonView, Equality, EqualityView, ProvedAt, Recheck, Rechecks,
};
pub use plan::{Plan, PlannedStep};

use super::names::NameView;
use super::pause::PauseView;
use super::problem::Problem;
use super::watching::WatchingView;
use crate::coordinator::etcd::Member;
use crate::runbook::{Pinned, Question};
use mainstay_core::position::Lsn;
use mainstay_core::{ApplicationName, Epoch, LinkStatus, Position, SiteName, StoreName};
use mainstay_stores::postgres::repair::{Repaired, Undone};
use mainstay_stores::postgres::salvage::Asked;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub here: SiteName,
    pub version: String,
    #[serde(default)]
    pub coordinator: CoordinatorView,
    pub applications: Vec<ApplicationStatus>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationStatus {
    pub name: ApplicationName,
    pub epoch: Epoch,
    /// The site that holds the epoch; none before the first epoch, or while it is unknown.
    pub active: Option<SiteName>,
    /// Where the application belongs when all is well.
    #[serde(default)]
    pub home: Option<SiteName>,
    /// This agent's state: `active`, `standby`, `suspect`, `lease-wait`, `claiming`, `promoting`,
    /// `fenced`, `returning`, `witness`, `stuck`.
    pub state: String,
    /// Whether this site's gate lets the application write here now.
    pub serving: bool,
    /// Whether the coordinator answers this agent.
    pub coordinator: bool,
    /// When it last answered, once it is silent; microseconds since the Unix epoch.
    #[serde(default)]
    pub coordinator_silent_since_micros: Option<i64>,
    pub rto_s: f64,
    pub rpo_s: f64,
    pub links: Vec<LinkView>,
    pub sites: BTreeMap<SiteName, SiteView>,
    /// The execution under way, or else the last one.
    pub execution: Option<Execution>,
    /// Where this site's way back is, when it is on one.
    pub returning: Option<Return>,
    /// Of each store that a link brings to a standby.
    #[serde(default)]
    pub equality: Vec<EqualityView>,
    /// What readers are given at each site, of each store that has some.
    #[serde(default)]
    pub reads: Vec<ReadsView>,
    /// Set while no failover may begin by itself.
    #[serde(default)]
    pub pause: Option<PauseView>,
    /// Its names in DNS, as this site's agent sees them.
    #[serde(default)]
    pub names: Vec<NameView>,
    /// What the agents see of the sites.
    #[serde(default)]
    pub watching: WatchingView,
    /// What is wrong or waits for a person, the worst first, each with what to type next.
    pub problems: Vec<Problem>,
}

/// Whether a site's own database may be read by those that only read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadsView {
    pub store: StoreName,
    pub site: SiteName,
    /// How old what is read there may be by now; none when that is not known.
    pub age_s: Option<f64>,
    /// How old it may be at most.
    pub max_lag_s: f64,
    /// Why readers are led elsewhere; none when they are not.
    pub refused: Option<String>,
    /// Their open connections at the site's gate: answered by its own database.
    pub readers_here: u64,
    /// The same, answered by another.
    pub readers_away: u64,
}

/// Where agreement lives, as this agent reaches it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CoordinatorView {
    /// `embedded` or `etcd`.
    pub kind: String,
    /// The site that keeps it, when it is embedded.
    pub site: Option<SiteName>,
    /// Each member of etcd.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkView {
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    #[serde(flatten)]
    pub status: LinkStatus,
}

/// What is known of a site, from this agent's vantage and as told by the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteView {
    /// `healthy`, `unhealthy` (something answers, the application does not), `unreachable`,
    /// `unknown`.
    pub verdict: String,
    /// The evidence in words.
    pub why: String,
    pub witness: bool,
}

/// Why a move would be refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    pub what: String,
    pub advice: String,
}

/// One journaled run of a runbook. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    pub id: String,
    pub application: ApplicationName,
    pub kind: ExecutionKind,
    /// The epoch that the execution makes.
    pub epoch: Epoch,
    pub from: Option<SiteName>,
    pub to: SiteName,
    pub state: ExecutionState,
    pub requested_by: String,
    pub started_micros: i64,
    pub ended_micros: Option<i64>,
    pub steps: Vec<StepRecord>,
    /// Measured facts: `last_renewal_seen_micros`, `suspected_micros`, `decided_micros`,
    /// `loss_bound_s`, and what else the steps found out.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// What it was pinned to when it began; none of one that an older version began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<Pinned>,
    /// What it asks a person; while there is something it is stuck.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionKind {
    Failover,
    Switchover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionState {
    Running,
    Succeeded,
    /// Ended before the point of no return; the former active site serves on.
    Aborted,
    /// It waits for a person.
    Stuck,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    pub name: String,
    pub state: StepState,
    pub started_micros: Option<i64>,
    pub ended_micros: Option<i64>,
    /// What was done and how it was confirmed, or why it failed.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Pending,
    /// The intent is durable; the outcome is not known yet.
    Intent,
    Done,
    Failed,
    /// By a person's word, or because nothing asked for it.
    Skipped,
    /// It was taken back, since the execution was given up.
    Undone,
}

/// The way back of a site that was failed over from. Each phase survives a crash of the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Return {
    pub phase: ReturnPhase,
    /// The epoch during which this site returns.
    pub epoch: Epoch,
    /// The store being worked on.
    pub store: StoreName,
    /// Salvage taken here: its id and counts.
    pub salvage: Option<SalvageSummary>,
    /// Rows put right from the active site.
    pub rows_put_right: Option<u64>,
    /// Those rows are as the active site had them here.
    #[serde(default)]
    pub put_right_until: Option<Position>,
    /// The last comparison found differences. What it found is not outweighed by anybody.
    #[serde(default)]
    pub differs: bool,
    /// Because of that everything was copied a second time.
    #[serde(default)]
    pub copied_again: bool,
    /// How this site gets what it lacks; none until that is known.
    #[serde(default)]
    pub means: Option<ReturnMeans>,
    /// Why by these means: what was found at the active site.
    #[serde(default)]
    pub because: String,
    /// How far the phase is; never kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ReturnProgress>,
    /// What happened last, or what is asked of a person.
    pub detail: String,
    /// A person's reason for going on although the salvage cannot be whole.
    #[serde(default)]
    pub inexact: Option<String>,
    /// What a person has to type before it goes on.
    #[serde(default)]
    pub asked: Option<String>,
}

impl Return {
    /// A way back of which nothing is done yet.
    pub fn begun(epoch: Epoch, store: StoreName) -> Self {
        Self {
            phase: ReturnPhase::Fencing,
            epoch,
            store,
            salvage: None,
            rows_put_right: None,
            put_right_until: None,
            differs: false,
            copied_again: false,
            means: None,
            because: String::new(),
            progress: None,
            detail: String::new(),
            inexact: None,
            asked: None,
        }
    }
}

/// A full copy is never made when a delta will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnMeans {
    /// The rows that the salvage names, and the changes since the promotion.
    Delta,
    FullCopy,
}

/// What is done in a phase right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnProgress {
    /// Transactions read from the old slot so far; their number is not known before.
    Salvaged { transactions: u64 },
    /// Rows put right, of those that the salvage names.
    PutRight { rows: u64, of: u64 },
    /// The reverse link has so much of the active site's history still to apply. The seconds
    /// follow from the speed so far, and are none while it does not come nearer.
    CatchingUp { bytes_left: u64, seconds_left: Option<u64> },
    /// Both sites are read and compared.
    Comparing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnPhase {
    /// Making sure that this site's database is fenced.
    Fencing,
    /// Taking from the old slot what the other site never received.
    Salvaging,
    /// Making the rows that the salvage names equal to the active site's.
    PuttingRight,
    /// The reverse link streams; comparison has not yet proved both sides equal.
    Streaming,
    /// Proved equal at a position: failback is possible.
    Ready,
}

/// `GET /v1/salvage`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SalvageSummary {
    pub id: String,
    pub application: ApplicationName,
    pub store: StoreName,
    /// The site it was taken from.
    pub site: SiteName,
    /// The epoch in which the work had been accepted.
    pub epoch: Epoch,
    pub transactions: u64,
    pub changes: u64,
    /// Source commit times of the first and the last salvaged transaction, microseconds.
    pub first_commit_micros: Option<i64>,
    pub last_commit_micros: Option<i64>,
    /// Set when it is not whole.
    #[serde(default)]
    pub inexact: Option<Inexact>,
    /// What became of its transactions, as the active site knows; none while that is unknown.
    #[serde(default)]
    pub states: Option<SalvageStates>,
    /// What the last replay by the rules did; set once replayed.
    pub replay: Option<ReplaySummary>,
    /// The exact span of lost work: last salvaged commit minus last applied commit, seconds.
    pub rpo_exact_s: Option<f64>,
}

/// What is known of a lost site's work when its history is gone: not its transactions, but the rows
/// that it has and the active site has not, or not so. Never all of it: a row that both sites
/// changed alike, or that the lost site deleted, does not show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inexact {
    pub why: String,
    /// Rows that only that site has.
    pub only_there: u64,
    /// Rows that it has with other values. Newer or older ones: that is not known.
    pub other_there: u64,
    /// The last commit of that site that had arrived at the other, microseconds: what is missing is
    /// later than this.
    pub after_micros: Option<i64>,
}

/// Body of `POST /v1/return/continue`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReturnRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
    pub reason: String,
}

/// How many transactions of a salvage are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalvageStates {
    /// Nothing was decided yet: they wait for a person.
    pub open: u64,
    pub replayed: u64,
    pub rejected: u64,
    /// Nothing of them is under another rule than `keep`.
    pub kept: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplaySummary {
    pub transactions: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
    pub already_there: u64,
    /// Changes kept by rule, not replayed.
    pub kept: u64,
    /// Transactions that an earlier replay had done.
    pub done_before: u64,
    /// Transactions that were rejected, and passed over.
    pub rejected_before: u64,
    /// Transactions that were rejected, and replayed now because they were named.
    pub formerly_rejected: u64,
    /// Transactions that wait for a person.
    pub asked: u64,
    /// The first of them; not kept.
    pub first: Vec<Asked>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectSummary {
    pub transactions: u64,
    pub rejected_before: u64,
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

/// Body of `POST /v1/compare`, which begins a comparison or joins the one under way, and query of
/// `GET /v1/compare`, which only tells of it. Both answer with a `ComparisonView`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CompareRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
}

/// Body of `POST /v1/repair`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RepairRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
    /// Only these, `schema.table`; all when empty.
    pub tables: Vec<String>,
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
    /// The link has stopped or lost its history: end it, make both sites equal, begin it anew there.
    #[serde(default)]
    pub relink: bool,
    pub reason: String,
}

/// Body of `POST /v1/repair/undo`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UndoRequest {
    pub id: String,
    pub reason: String,
}

/// `GET /v1/repairs`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepairSummary {
    pub id: String,
    pub application: ApplicationName,
    pub store: StoreName,
    /// The standby whose rows were changed, and which has the record.
    pub site: SiteName,
    /// The active site that they became equal to.
    pub from: SiteName,
    pub dry_run: bool,
    pub tables: Vec<String>,
    pub reason: String,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    pub state: RepairState,
    pub started_micros: i64,
    pub ended_micros: Option<i64>,
    /// What the comparison found, in all tables; none while it goes on.
    pub differences: Option<u64>,
    /// What was done so far, or would be.
    pub repaired: Repaired,
    /// Why it failed. What was done before is done.
    pub why: Option<String>,
    pub undone: Option<Undone>,
    #[serde(default)]
    pub undone_by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepairState {
    Comparing,
    Repairing,
    Done,
    Failed,
}

/// Body of `POST /v1/link/continue`: a link that has stopped is to try again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContinueRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
    /// The schema change that is left out from now on, by the position that the link names.
    pub leave_out: Option<String>,
    pub reason: String,
}

/// The link that tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continued {
    pub application: ApplicationName,
    pub store: StoreName,
    /// Where it runs.
    pub site: SiteName,
    pub left_out: Option<String>,
}

/// Body of `POST /v1/salvage/reject`, and part of the one below.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DecisionRequest {
    pub id: String,
    /// Where the commit records of the transactions begin that a person names. Without any, the
    /// rules decide what is replayed, and all that is open is rejected.
    #[serde(default)]
    pub transactions: Vec<Lsn>,
    #[serde(default)]
    pub reason: String,
}

/// Body of `POST /v1/salvage/replay`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplayRequest {
    #[serde(flatten)]
    pub decision: DecisionRequest,
    /// Named transactions only: also rows that the active site changed since.
    #[serde(default)]
    pub overwrite: bool,
}

/// Any refusal or failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiError {
    pub code: String,
    pub message: String,
    pub advice: String,
}
