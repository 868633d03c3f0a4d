//! What may make a run of the lab harder.

use crate::error::LabError;
use crate::processes::Wanted;
use clap::{Args, ValueEnum};

/// Short enough for several failovers that begin by themselves in one run.
const SHORT_COOL_DOWN_SECONDS: u64 = 8;

#[derive(Debug, Clone, Copy, Args)]
pub struct Trials {
    /// Disasters one after the other, each at the site that is active then; every other time it is
    /// away from home the application stays there, so that the sites swap their parts
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub disasters: u32,
    /// While a lost site returns, kill its agent at least five times, also between the phases, and
    /// the active site's agent once
    #[arg(long)]
    pub crash_return: bool,
    /// Kill the new active site whole, in the middle of the first site's return; not together with
    /// several disasters, whose short cool-down would let a failover begin
    #[arg(
        long,
        value_enum,
        value_name = "THEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "wait",
        conflicts_with = "disasters"
    )]
    pub lose_again: Option<LoseAgain>,
    /// So many transactions never arrive: inserts, updates and deletes that are acknowledged behind
    /// a cut line, more than may be lost. Then the site dies, nothing is promoted by itself, a
    /// person orders the failover, and each of them has to be in the salvage
    #[arg(long, value_name = "N", conflicts_with_all = ["disasters", "lose_again"])]
    pub lost: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LoseAgain {
    /// It stays dead for a while, comes back, and the return goes on
    Wait,
    /// As soon as the returning site is only not proved equal yet, a person orders a failover to it
    Failover,
}

impl Trials {
    /// Crashes of returning sites' agents that a run has at least.
    pub fn crashes_asked(&self) -> u64 {
        5 * u64::from(self.disasters)
    }

    /// Every failover of several disasters begins by itself; so none may wait for a long cool-down.
    pub fn fit(&self, wanted: Wanted) -> Result<Wanted, LabError> {
        if !(1..=100).contains(&self.disasters) {
            let (option, given) = ("--disasters", self.disasters.to_string());
            return Err(LabError::Option { option, given, why: "use 1 to 100".to_owned() });
        }
        if let Some(lost) = self.lost.filter(|lost| !(1..=1_000_000).contains(lost)) {
            let (option, given) = ("--lost", lost.to_string());
            return Err(LabError::Option { option, given, why: "use 1 to 1000000".to_owned() });
        }
        let cool_down_seconds = match self.disasters {
            1 => wanted.cool_down_seconds,
            _ => SHORT_COOL_DOWN_SECONDS,
        };
        Ok(Wanted { cool_down_seconds, ..wanted })
    }
}
