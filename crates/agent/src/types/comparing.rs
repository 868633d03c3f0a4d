//! Comparisons as they are told: the one under way, and what is proved of each store.

use super::ApiError;
use crate::stores::{Compared, Progress};
use mainstay_core::{ApplicationName, Position, SiteName, StoreName};
use mainstay_stores::postgres::compare::Rechecked;
use serde::{Deserialize, Serialize};

/// The comparison of a store that is under way, or the last one since the agent began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComparisonView {
    pub application: ApplicationName,
    pub store: StoreName,
    /// The standby, which makes it.
    pub site: SiteName,
    pub started_micros: i64,
    /// The application's other stores, when none was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<StoreName>,
    #[serde(flatten)]
    pub state: ComparisonState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ComparisonState {
    Running {
        /// None until something was read.
        progress: Option<Progress>,
        /// By the pace so far; none while that says nothing.
        seconds_left: Option<u64>,
    },
    Ended {
        ended_micros: i64,
        result: Box<Compared>,
    },
    /// Whether both sides are equal is unknown.
    Failed {
        ended_micros: i64,
        error: ApiError,
    },
}

/// Whether two sites hold the same in a store, as far as it was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EqualityView {
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    #[serde(flatten)]
    pub equality: Equality,
    /// Also when that is unknown by now.
    pub last_equal: Option<ProvedAt>,
    /// Why the last comparison could not be finished.
    pub trouble: Option<String>,
    /// Of rows that the link changed.
    #[serde(default)]
    pub rechecks: Rechecks,
}

/// What comparing again the rows that a link changed says. It proves nothing of other rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rechecks {
    pub last: Option<Recheck>,
    /// The last one that found a difference, until a whole comparison was made.
    pub found: Option<Recheck>,
    /// Why the last ones could not be made, when that were several.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    pub micros: i64,
    #[serde(flatten)]
    pub of: Rechecked,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "equality", rename_all = "kebab-case")]
pub enum Equality {
    Unknown {
        why: String,
    },
    Equal(ProvedAt),
    /// Rows of tables; keys, of a store that has no tables.
    Different {
        at: ProvedAt,
        rows: u64,
        tables: u64,
    },
}

/// Where both sites were read, by the history of the active one, and when that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedAt {
    #[serde(with = "mainstay_core::position::text")]
    pub position: Position,
    /// Redis: the offset at which reading began, where the history went on meanwhile. Each key was
    /// read between this and the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    pub micros: i64,
}

impl ProvedAt {
    /// What is counted of the store.
    pub fn noun(&self) -> &'static str {
        match self.position {
            Position::Postgres(_) => "row",
            Position::Redis(_) => "key",
        }
    }
}

impl std::fmt::Display for ProvedAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.position, self.since) {
            (Position::Redis(at), Some(since)) => {
                write!(f, "{}:{since} to {}", at.history, at.offset)
            }
            (position, _) => position.fmt(f),
        }
    }
}

/// Body of `POST /v1/compare`, which begins a comparison or joins the one under way, and query of
/// `GET /v1/compare`, which only tells of it. Both answer with a `ComparisonView`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CompareRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
}
