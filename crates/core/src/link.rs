//! What a link says of itself.

use crate::Position;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Age of the oldest change that the target has not applied, on the source's own clock.
/// *Unknown* when it cannot be known, for instance while disconnected; never 0 then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(into = "Option<f64>", from = "Option<f64>")]
pub enum Lag {
    Known(Duration),
    #[default]
    Unknown,
}

impl Lag {
    pub fn known(self) -> Option<Duration> {
        match self {
            Lag::Known(age) => Some(age),
            Lag::Unknown => None,
        }
    }

    /// True only when the lag is known and within `bound`.
    pub fn is_within(self, bound: Duration) -> bool {
        self.known().is_some_and(|age| age <= bound)
    }
}

/// In JSON a lag is its seconds, or null when unknown.
impl From<Lag> for Option<f64> {
    fn from(lag: Lag) -> Self {
        lag.known().map(|age| age.as_secs_f64())
    }
}

impl From<Option<f64>> for Lag {
    fn from(seconds: Option<f64>) -> Self {
        match seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
            Some(age) => Lag::Known(age),
            None => Lag::Unknown,
        }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lag::Known(age) if age.as_secs() >= 10 => write!(f, "{} s", age.as_secs()),
            Lag::Known(age) => write!(f, "{:.3} s", age.as_secs_f64()),
            Lag::Unknown => f.write_str("unknown"),
        }
    }
}

/// Where a link is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum LinkPhase {
    /// Not yet connected for the first time.
    Starting,
    /// The first copy: rows, then keys, then the changes since an earlier attempt at it.
    Copying {
        tables_done: u32,
        tables: u32,
        /// At the target. Named apart from the rows of `LinkStatus`, beside which it stands in
        /// JSON.
        #[serde(rename = "rows_copied")]
        rows: u64,
        /// Of the source's tables, as they are stored there: copied, and in all.
        bytes: u64,
        #[serde(default)]
        total_bytes: u64,
        /// Keys and indexes, which are made when the rows are there.
        #[serde(default)]
        keys_done: u32,
        #[serde(default)]
        keys: u32,
        /// Until the rows are there; none while that is not known.
        #[serde(default)]
        seconds_left: Option<u64>,
    },
    /// Changes flow.
    Streaming,
    /// The source does not answer; the link tries again by itself.
    Disconnected { reason: String },
    /// Stopped for good until a person acts: an unknown event, a refused row, a lost slot.
    /// `code` is one of the documented error codes.
    Stopped { code: String, reason: String },
}

impl LinkPhase {
    pub fn name(&self) -> &'static str {
        match self {
            LinkPhase::Starting => "starting",
            LinkPhase::Copying { .. } => "copying",
            LinkPhase::Streaming => "streaming",
            LinkPhase::Disconnected { .. } => "disconnected",
            LinkPhase::Stopped { .. } => "stopped",
        }
    }
}

/// History that the source keeps because the target has not applied it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    pub bytes: u64,
    /// What the source may still write before it drops history that the link needs. None when
    /// the source keeps it whatever comes, until its disk is full.
    pub left: Option<u64>,
    /// What the source keeps at most.
    pub bound: Option<u64>,
    /// The bound is passed: the next checkpoint of the source may drop what the link needs.
    pub unreserved: bool,
}

impl Retained {
    /// Less than a quarter of the bound is left.
    pub fn is_scarce(&self) -> bool {
        self.unreserved || self.has_less_than(4)
    }

    /// At least half of the bound is left: further from `is_scarce` than one burst of writes, so
    /// that what is told when one begins and the other ends is not told again and again.
    pub fn is_ample(&self) -> bool {
        !self.unreserved && !self.has_less_than(2)
    }

    fn has_less_than(&self, part: u64) -> bool {
        self.left.zip(self.bound).is_some_and(|(left, bound)| left < bound / part)
    }
}

/// A link as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    #[serde(flatten)]
    pub phase: LinkPhase,
    /// How far the target has durably applied.
    pub applied: Option<Position>,
    /// How far the link has received (in memory or on disk, not yet applied).
    pub received: Option<Position>,
    /// The end of the source's history when last heard of.
    pub source_end: Option<Position>,
    pub lag: Lag,
    /// Source commit time of the newest applied transaction: microseconds since the Unix epoch,
    /// on the source's clock.
    pub applied_commit_micros: Option<i64>,
    /// Source transactions and rows applied since this link's process began.
    pub transactions: u64,
    pub rows: u64,
    /// None while the source cannot be asked, or has no slot for the link.
    #[serde(default)]
    pub retained: Option<Retained>,
}

impl LinkStatus {
    pub fn starting() -> Self {
        Self {
            phase: LinkPhase::Starting,
            applied: None,
            received: None,
            source_end: None,
            lag: Lag::Unknown,
            applied_commit_micros: None,
            transactions: 0,
            rows: 0,
            retained: None,
        }
    }
}
