//! Transactions that were made to be lost.

use super::objectives::{none, within};
use super::{Objective, grouped, seconds};
use serde::Serialize;
use std::collections::BTreeMap;

/// After a failover that loses more than it may, a person is told within so long.
const TOLD_WITHIN_S: f64 = 30.0;

/// By the clients' own logs and both databases; `told` is what Mainstay said.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NeverArrived {
    pub wanted: u64,
    /// By so many programs, each with rows of its own.
    pub programs: u64,
    /// Behind the cut line: inserts, updates, deletes, and all three in one.
    pub acknowledged: u64,
    pub took_s: f64,
    /// From the oldest of them to the kill.
    pub lost_s: f64,
    /// From the kill until `mainstay status` said why nothing is promoted, and what would be lost.
    pub told_s: Option<f64>,
    pub told_loss_s: f64,

    /// In the salvage once, exactly as they were acknowledged.
    pub salvaged: u64,
    /// In the salvage, and not as anybody had it acknowledged.
    pub others: u64,
    /// Behind a later one of the same program.
    pub out_of_order: u64,
    /// Payees of the returning site that were not as it had accepted them when it came back, and how
    /// often they were seen changed before the salvage was kept.
    pub touched_before_kept: u64,
    /// Shown with each change beside the row that the new site's database has.
    pub shown: u64,
    pub shown_wrong: u64,
    /// Changes whose row the new site has, or has otherwise.
    pub conflicts: u64,

    /// Attempts to write at the returning site's own database, and how many it accepted.
    pub stale_attempts: u64,
    pub stale_accepted: u64,
    /// Transactions that were acknowledged after the failover.
    pub written_meanwhile: u64,
    /// Payees that are not, at one site or both, as the logs say.
    pub wrong_in_the_end: u64,

    /// Since the returning site runs again: until its salvage is kept at both sites, until the link
    /// back streams, until both sites are proved equal.
    pub salvaging_s: f64,
    pub streaming_s: f64,
    pub return_s: f64,
    /// Of the replay by the rules.
    pub replay_s: f64,
    /// The most memory of each agent since it was started.
    pub agents_peak_mib: BTreeMap<String, u64>,
}

impl NeverArrived {
    /// For people: what, and what is told of it.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let number = |number: u64| grouped(&number.to_string());
        let peaks = self.agents_peak_mib.iter().map(|(site, mib)| format!("{site} {mib} MiB"));
        vec![
            (
                "acknowledged",
                format!(
                    "{} transactions within {:.1} s behind the cut line, up to {:.1} s before the kill",
                    number(self.acknowledged),
                    self.took_s,
                    self.lost_s
                ),
            ),
            (
                "no failover by itself",
                format!(
                    "told {} after the kill; a person accepted {:.0} s",
                    seconds(self.told_s),
                    self.told_loss_s.ceil()
                ),
            ),
            (
                "in the salvage",
                format!(
                    "{} of {} exactly as acknowledged, {} otherwise, {} out of order",
                    number(self.salvaged),
                    number(self.acknowledged),
                    self.others,
                    self.out_of_order
                ),
            ),
            (
                "beside the new site",
                format!("{} conflicts shown, {} wrongly", number(self.conflicts), self.shown_wrong),
            ),
            (
                "the returning site",
                format!(
                    "accepted {} of {} writes",
                    self.stale_accepted,
                    number(self.stale_attempts)
                ),
            ),
            (
                "the new site",
                format!(
                    "{} transactions meanwhile; {} payees not as acknowledged in the end",
                    number(self.written_meanwhile),
                    self.wrong_in_the_end
                ),
            ),
            (
                "the return",
                format!(
                    "salvage kept after {:.1} s, the link back streams after {:.1} s, proved equal \
                     after {:.1} s; replay {:.1} s",
                    self.salvaging_s, self.streaming_s, self.return_s, self.replay_s
                ),
            ),
            ("most memory of an agent", peaks.collect::<Vec<_>>().join(", ")),
        ]
    }

    pub(super) fn objectives(&self) -> Vec<Objective> {
        let all_of = |name, number: u64| Objective {
            name,
            objective: format!("{} of {}", self.wanted, self.wanted),
            measured: format!("{number} of {}", self.acknowledged),
            met: number == self.wanted && self.acknowledged == self.wanted,
        };
        let refused = Objective {
            name: "writes refused on its return",
            objective: "all".to_owned(),
            measured: format!(
                "{} of {}",
                self.stale_attempts - self.stale_accepted,
                self.stale_attempts
            ),
            met: self.stale_accepted == 0 && self.stale_attempts > 0,
        };
        vec![
            within("a person is told", self.told_s, TOLD_WITHIN_S),
            all_of("never arrived, salvaged", self.salvaged),
            all_of("shown beside the new site", self.shown),
            none("salvaged and not written", self.others + self.out_of_order),
            none("touched before the salvage", self.touched_before_kept),
            refused,
            none("payees not as acknowledged", self.wrong_in_the_end),
        ]
    }
}
