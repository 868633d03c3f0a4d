//! The proof of a fence.

use crate::{Epoch, Position, SiteName, StoreName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What was done to make sure that a site can no longer accept writes, by whom, and how that was
/// confirmed: every means that was tried, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The site that can no longer accept writes.
    pub fenced: SiteName,
    /// The highest epoch at which it could have accepted one.
    pub epoch: Epoch,
    pub tried: Vec<Tried>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub means: Means,
    pub outcome: FenceResult,
    /// The site whose agent tried it, or the person whose word it is.
    pub by: String,
    /// When it ended, by the clock of whoever tried it: microseconds since the Unix epoch.
    pub micros: i64,
    /// What was seen, in words.
    pub detail: String,
}

/// By what a site is kept from accepting writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Means {
    /// The program of that number in the configuration, from 1, which stops the site from outside.
    Command { number: usize, program: String },
    /// A person says that the site is off.
    ByHand,
    /// The whole lease passed, on the candidate's own clock, since the last renewal it saw.
    Lease { waited_ms: u64 },
    /// The site's gate holds or is closed.
    Gate,
    /// The database refuses the application's roles, and their sessions were cut.
    Database { store: StoreName, sessions_cut: u32, position: Option<Position> },
    /// The active site gave its right back itself.
    Handover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FenceResult {
    /// Whoever was asked said after it that nothing is written any more.
    Confirmed,
    /// It was answered, and not done.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Tried {
    pub fn is_confirmed(&self) -> bool {
        self.outcome == FenceResult::Confirmed
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { number, program } => write!(f, "means {number} ({program})"),
            Self::ByHand => f.write_str("by hand"),
            Self::Lease { waited_ms } => {
                let waited = Duration::from_millis(*waited_ms).as_secs_f64();
                write!(f, "lease: {waited:.1} s without a renewal")
            }
            Self::Gate => f.write_str("gate"),
            Self::Database { store, .. } => write!(f, "database {store}"),
            Self::Handover => f.write_str("handover"),
        }
    }
}

impl fmt::Display for FenceResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        })
    }
}
