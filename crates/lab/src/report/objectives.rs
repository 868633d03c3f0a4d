//! Objective against measured.

use super::Report;
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
        vec![
            within("writable again", self.rto_s, limits.rto_s),
            within("lost work", Some(self.rpo_s), limits.rpo_s),
            within("switchover write pause", self.switchover_pause_s, limits.switchover_pause_s),
            none("unaccounted transfers", self.unaccounted),
            none("requests failed for good", self.failed_for_good),
            none("ms with two writable sites", self.overlap_ms.unsigned_abs()),
            holds("balances add up", self.balanced),
            holds("transfer numbers unique", self.numbers_unique),
            holds("both sides equal", self.sides_equal),
            holds("Mainstay's comparison agrees", self.comparison_says_equal()),
            holds("ledgers verify", self.ledger_ok),
        ]
    }
}

fn within(name: &'static str, measured: Option<f64>, limit: f64) -> Objective {
    let objective = format!("under {limit} s");
    Objective {
        name,
        objective,
        measured: super::seconds(measured),
        met: measured.is_some_and(|m| m < limit),
    }
}

fn none(name: &'static str, measured: u64) -> Objective {
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
