//! Repairs of a standby, and their undoing.

use mainstay_core::{ApplicationName, SiteName, StoreName};
use mainstay_stores::postgres::repair::{Repaired, Undone};
use serde::{Deserialize, Serialize};

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
