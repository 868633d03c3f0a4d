//! One probe of one site by one vantage: so many looks in a row change what is concluded.

use super::Cadence;
use crate::Tick;
use crate::lease::Lease;
use std::time::Duration;

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Something answers there, and not as it must.
    Failed,
    /// Nothing answers there.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub outcome: Outcome,
    /// When it began.
    pub gathered: Tick,
    /// What was seen, in words.
    pub why: String,
}

/// Invariant: what stands was seen by itself first, or `threshold` times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    cadence: Cadence,
    fresh_for: Duration,
    standing: Option<Look>,
    /// When the newest look began, whatever came of it.
    newest: Tick,
    /// Looks in a row that speak against what stands.
    against: u32,
}

impl Tally {
    pub fn new(cadence: Cadence, lease: Lease) -> Self {
        let fresh_for = cadence.fresh_for(lease);
        Self { cadence, fresh_for, standing: None, newest: Tick::default(), against: 0 }
    }

    /// Looks with a gap between them are not in a row: then the first one stands by itself again.
    pub fn take(&mut self, look: Look) {
        if look.gathered.since(self.newest) > self.fresh_for {
            self.standing = None;
        }
        self.newest = look.gathered;
        let passed = |look: &Look| look.outcome == Outcome::Passed;
        let agrees = self.standing.as_ref().is_none_or(|it| passed(it) == passed(&look));
        self.against = if agrees { 0 } else { self.against + 1 };
        if agrees || self.against >= self.cadence.threshold {
            self.standing = Some(look);
            self.against = 0;
        }
    }

    /// What stands, while looks are made; none when the newest is too old.
    pub fn standing(&self, now: Tick) -> Option<&Look> {
        self.standing.as_ref().filter(|_| now.since(self.newest) <= self.fresh_for)
    }

    /// How long ago the newest look began.
    pub fn age(&self, now: Tick) -> Option<Duration> {
        self.standing.as_ref().map(|_| now.since(self.newest))
    }
}
