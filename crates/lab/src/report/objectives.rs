//! Objective against measured.

use super::{NeverArrived, Report};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Objective {
    pub name: &'static str,
    pub objective: String,
    pub measured: String,
    pub met: bool,
}

/// The figures that the lab's configuration and the product promise.
pub struct Limits {
    pub rto_s: f64,
    pub rpo_s: f64,
    pub switchover_pause_s: f64,
    /// How many crashes of a returning site's agent were wanted at least.
    pub crashes: Option<u64>,
}

impl Report {
    /// Judges every objective; `missed` names those that were not met.
    pub fn judge(&mut self, limits: &Limits) {
        self.objectives = self.all_objectives(limits);
        let missed = self.objectives.iter().filter(|objective| !objective.met);
        self.missed =
            missed.map(|o| format!("{}: {}, not {}", o.name, o.measured, o.objective)).collect();
    }

    fn comparison_says_equal(&self) -> bool {
        self.comparison["equal"].as_bool() == Some(true)
    }

    fn all_objectives(&self, limits: &Limits) -> Vec<Objective> {
        let by_agents = self.disasters.iter().filter(|it| !it.ordered).map(|it| it.rpo_s);
        let lost = by_agents.fold(0.0, f64::max);
        // Who orders a failover says how much may be lost.
        let mut objectives = vec![within("lost work", Some(lost), limits.rpo_s)];
        // And when, if it is one that never begins by itself.
        if self.never_arrived.is_none() {
            objectives.insert(0, within("writable again", self.rto_s, limits.rto_s));
        }
        if self.moves > 0 {
            let pause = self.switchover_pause_s;
            objectives.push(within("switchover write pause", pause, limits.switchover_pause_s));
        }
        objectives.extend([
            none("unexplained moves", self.stray_moves),
            none("unaccounted transfers", self.unaccounted),
            none("requests failed for good", self.failed_for_good),
            none("ms with two writable sites", self.overlap_ms.unsigned_abs()),
            holds("balances add up", self.balanced),
            holds("transfer numbers unique", self.numbers_unique),
            holds("both sides equal", self.sides_equal),
            holds("Mainstay's comparison agrees", self.comparison_says_equal()),
            holds("ledgers verify", self.ledger_ok),
        ]);
        objectives.extend(self.never_arrived.iter().flat_map(NeverArrived::objectives));
        objectives.extend(limits.crashes.map(|wanted| Objective {
            name: "crashes during the return",
            objective: format!("{wanted} or more"),
            measured: self.crashes.to_string(),
            met: self.crashes >= wanted,
        }));
        objectives
    }
}

pub(super) fn within(name: &'static str, measured: Option<f64>, limit: f64) -> Objective {
    let objective = format!("under {limit} s");
    Objective {
        name,
        objective,
        measured: super::seconds(measured),
        met: measured.is_some_and(|m| m < limit),
    }
}

pub(super) fn none(name: &'static str, measured: u64) -> Objective {
    Objective {
        name,
        objective: "0".to_owned(),
        measured: measured.to_string(),
        met: measured == 0,
    }
}

fn holds(name: &'static str, met: bool) -> Objective {
    let measured = if met { "yes" } else { "no" };
    Objective { name, objective: "yes".to_owned(), measured: measured.to_owned(), met }
}
