//! From the probes of a site to the verdict of one vantage.

use super::{Look, Outcome, Tally};
use crate::{Tick, Verdict};

/// One probe as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Probed<'a> {
    pub name: &'a str,
    pub tally: &'a Tally,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    pub verdict: Verdict,
    /// Which probe says so, and what it saw.
    pub why: String,
}

/// A site is healthy when every probe passes, and not when one fails. While one has no fresh look,
/// and none fails, nothing is known. Without any probe the agent of the site speaks for it.
pub fn conclude(probes: &[Probed<'_>], agent: bool, now: Tick) -> Conclusion {
    let agent_says = if agent { "its agent answers" } else { "its agent does not answer" };
    let looks: Vec<(&str, Option<&Look>)> =
        probes.iter().map(|probed| (probed.name, probed.tally.standing(now))).collect();
    let seen = || looks.iter().filter_map(|(name, look)| Some((name, (*look)?)));
    let answers = agent || seen().any(|(_, look)| look.outcome != Outcome::Silent);
    if let Some((name, look)) = seen().find(|(_, look)| look.outcome != Outcome::Passed) {
        let verdict = if answers { Verdict::Unhealthy } else { Verdict::Unreachable };
        return Conclusion { verdict, why: format!("probe {name}: {}; {agent_says}", look.why) };
    }
    if let Some((name, _)) = looks.iter().find(|(_, look)| look.is_none()) {
        let why = format!("probe {name} has not been made lately");
        return Conclusion { verdict: Verdict::Unknown, why };
    }
    let passed: Vec<String> = seen().map(|(name, look)| format!("{name}: {}", look.why)).collect();
    match (passed.is_empty(), agent) {
        (true, true) => Conclusion { verdict: Verdict::Healthy, why: agent_says.to_owned() },
        (true, false) => Conclusion { verdict: Verdict::Unreachable, why: agent_says.to_owned() },
        (false, _) => Conclusion { verdict: Verdict::Healthy, why: passed.join("; ") },
    }
}
