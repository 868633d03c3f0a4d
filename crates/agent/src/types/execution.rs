//! Executions of runbooks, as the journal has them.

use crate::runbook::{Pinned, Question};
use mainstay_core::{ApplicationName, Epoch, SiteName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
