//! Salvage, and what people decide of it.

use mainstay_core::position::Lsn;
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};
use mainstay_stores::postgres::salvage::Asked;
use serde::{Deserialize, Serialize};

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
