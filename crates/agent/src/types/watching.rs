//! What the agents see of the sites.

use mainstay_core::watch::{Minute, Outcome, Tally};
use mainstay_core::{ProbeName, SiteName, Tick, Verdict};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WatchingView {
    /// What each vantage says of each site that holds data.
    pub vantages: Vec<VantageView>,
    /// What clients see at each gate.
    pub clients: Vec<ClientsView>,
    /// How late the active site's next renewal is (φ), as this agent sees it.
    pub phi: Option<f64>,
    /// How long no failover begins by itself, because health comes and goes.
    pub flapping_s: Option<f64>,
    /// Whose clock runs too fast or too slow.
    pub clock: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VantageView {
    pub about: SiteName,
    pub vantage: SiteName,
    pub verdict: Verdict,
    pub age_s: f64,
    pub why: String,
    pub probes: Vec<ProbeView>,
}

/// One probe of one site by one vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeView {
    pub probe: ProbeName,
    /// `passes`, `fails`, `silent`; `unknown` without a fresh look.
    pub outcome: String,
    /// Of the newest look.
    pub age_ms: Option<u64>,
    pub why: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientsView {
    /// The site whose gate they come to.
    pub site: SiteName,
    pub minute: Minute,
    /// Too many of them fail, although every probe has passed for as long.
    pub gray: bool,
}

impl ProbeView {
    pub fn of(probe: &ProbeName, tally: &Tally, unmade: Option<&String>, now: Tick) -> Self {
        let look = tally.standing(now);
        let outcome = match look.map(|look| look.outcome) {
            Some(Outcome::Passed) => "passes",
            Some(Outcome::Failed) => "fails",
            Some(Outcome::Silent) => "silent",
            None => "unknown",
        };
        let why = look.map(|look| look.why.clone()).or_else(|| unmade.cloned());
        Self {
            probe: probe.clone(),
            outcome: outcome.to_owned(),
            age_ms: tally.age(now).map(|age| age.as_millis().try_into().unwrap_or(u64::MAX)),
            why: why.unwrap_or_default(),
        }
    }
}
