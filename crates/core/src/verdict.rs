//! What an agent concludes about a site.

use crate::Tick;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The application answers there.
    Healthy,
    /// Something answers there, the application does not.
    Unhealthy,
    /// Nothing answers.
    Unreachable,
    /// No fresh evidence.
    #[default]
    Unknown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Unhealthy => "unhealthy",
            Verdict::Unreachable => "unreachable",
            Verdict::Unknown => "unknown",
        }
    }
}

/// A verdict and when the evidence for it was gathered, on this agent's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub verdict: Verdict,
    pub gathered: Tick,
    /// The evidence in words, for people.
    pub why: String,
}

impl Evidence {
    /// The verdict while the evidence is fresh, else `Unknown`.
    pub fn fresh(&self, now: Tick, fresh_for: Duration) -> Verdict {
        if now.since(self.gathered) <= fresh_for { self.verdict } else { Verdict::Unknown }
    }
}
