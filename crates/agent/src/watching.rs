//! What this agent has seen of the sites again and again: in memory only, because what happened
//! while an agent was away is not known to it.

use crate::types::ProbeView;
use mainstay_core::decision::SeenRecord;
use mainstay_core::lease::Lease;
use mainstay_core::watch::{Arrivals, LATE, Probed, Tally};
use mainstay_core::{Epoch, ProbeName, SiteName, Tick, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A kind of entry for the ledger, and its body.
pub type Told = (&'static str, Value);

#[derive(Default)]
pub struct Watching {
    /// This agent's own probes of each site.
    pub tallies: BTreeMap<SiteName, BTreeMap<ProbeName, Tally>>,
    /// Why a probe was not made when its turn came.
    pub unmade: BTreeMap<(SiteName, ProbeName), String>,
    /// What this agent concluded of each site last, and since when.
    pub concluded: BTreeMap<SiteName, (Verdict, Tick)>,
    arrivals: Arrivals,
    arrivals_of: Epoch,
    /// The change of the record that was counted last.
    counted: Tick,
    /// The next renewal is late.
    pub late: bool,
    /// The ledger says that the active site's health comes and goes.
    pub flapping: bool,
    /// The ledger says that clients of this site's gate fail.
    pub clients_fail: bool,
}

impl Watching {
    /// Takes in what the record shows of the active site's renewals.
    pub fn count_renewal(&mut self, seen: &SeenRecord, lease: Lease) {
        if self.arrivals_of != seen.record.epoch {
            self.arrivals = Arrivals::default();
            self.arrivals_of = seen.record.epoch;
        }
        if seen.changed != self.counted {
            self.counted = seen.changed;
            self.arrivals.arrived(seen.changed, lease.length());
        }
    }

    /// How late the next renewal is. Only what the coordinator answered counts: while it is silent
    /// nobody knows whether the active site renews.
    pub fn phi(&self, seen: &SeenRecord, lease: Lease) -> Option<f64> {
        self.arrivals.phi(seen.read, lease.renew_every() / 2)
    }

    /// What is new in that.
    pub fn turn_late(&mut self, seen: &SeenRecord, lease: Lease) -> Option<Told> {
        let phi = self.phi(seen, lease).unwrap_or_default();
        let late = phi >= LATE;
        if late == self.late {
            return None;
        }
        self.late = late;
        let body = json!({"epoch": seen.record.epoch, "active": seen.record.active, "phi": phi});
        Some((if late { "renewals-late" } else { "renewals-in-time" }, body))
    }

    /// What is new in whether the active site's health comes and goes.
    pub fn turn_flapping(&mut self, active: &SiteName, rest: Option<Duration>) -> Option<Told> {
        if self.flapping == rest.is_some() {
            return None;
        }
        self.flapping = rest.is_some();
        let body = json!({"active": active, "for_s": rest.unwrap_or_default().as_secs()});
        Some((if self.flapping { "flapping" } else { "flapping-over" }, body))
    }

    /// What is new in this agent's verdict on a site.
    pub fn turn_verdict(
        &mut self,
        site: &SiteName,
        verdict: Verdict,
        why: &str,
        now: Tick,
    ) -> Option<Told> {
        let (was, _) = self.concluded.entry(site.clone()).or_insert((Verdict::Unknown, now));
        let was = std::mem::replace(was, verdict);
        if was == verdict {
            return None;
        }
        self.concluded.insert(site.clone(), (verdict, now));
        let body = json!({
            "about": site, "verdict": verdict, "was": was, "why": why,
            "probes": self.probes(site, now),
        });
        Some(("verdict", body))
    }

    /// This agent's own probes of one site, with what stands of each.
    pub fn probed(&self, site: &SiteName) -> Vec<Probed<'_>> {
        let tallies = self.tallies.get(site).into_iter().flatten();
        tallies.map(|(name, tally)| Probed { name: name.as_str(), tally }).collect()
    }

    pub fn probes(&self, site: &SiteName, now: Tick) -> Vec<ProbeView> {
        let tallies = self.tallies.get(site).into_iter().flatten();
        let view = |(probe, tally): (&ProbeName, &Tally)| {
            let unmade = self.unmade.get(&(site.clone(), probe.clone()));
            ProbeView::of(probe, tally, unmade, now)
        };
        tallies.map(view).collect()
    }

    /// For how long this agent has concluded the same of a site.
    pub fn since(&self, site: &SiteName, verdict: Verdict, now: Tick) -> Option<Duration> {
        let (concluded, since) = self.concluded.get(site)?;
        (*concluded == verdict).then(|| now.since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::Record;

    const LEASE: Lease = Lease::new(Duration::from_secs(10));

    fn seen(changed: u64, read: u64) -> SeenRecord {
        let record = Record::first(SiteName::new("east").unwrap());
        SeenRecord { record, changed: Tick::from_millis(changed), read: Tick::from_millis(read) }
    }

    #[test]
    fn late_renewals_are_told_once_and_only_by_what_the_coordinator_answered() {
        let mut watching = Watching::default();
        for second in 1..=20 {
            let renewal = seen(second * 1000, second * 1000);
            watching.count_renewal(&renewal, LEASE);
            watching.count_renewal(&seen(second * 1000, second * 1000 + 250), LEASE);
            assert_eq!(watching.turn_late(&renewal, LEASE), None);
        }
        assert_eq!(watching.turn_late(&seen(20_000, 20_000), LEASE), None, "nobody answered");
        assert_eq!(watching.turn_late(&seen(20_000, 22_400), LEASE), None);
        let (kind, _) = watching.turn_late(&seen(20_000, 22_600), LEASE).unwrap();
        assert_eq!(kind, "renewals-late");
        assert_eq!(watching.turn_late(&seen(20_000, 23_000), LEASE), None, "told already");
        watching.count_renewal(&seen(23_100, 23_100), LEASE);
        let (kind, _) = watching.turn_late(&seen(23_100, 23_100), LEASE).unwrap();
        assert_eq!(kind, "renewals-in-time");
    }

    #[test]
    fn a_verdict_is_told_when_it_changes() {
        let east = SiteName::new("east").unwrap();
        let mut watching = Watching::default();
        let mut told = Vec::new();
        for verdict in [
            Verdict::Unknown,
            Verdict::Healthy,
            Verdict::Healthy,
            Verdict::Unhealthy,
            Verdict::Healthy,
        ] {
            let turned = watching.turn_verdict(&east, verdict, "so it is", Tick::default());
            told.extend(turned.map(|(_, body)| body["was"].as_str().unwrap().to_owned()));
        }
        assert_eq!(told, ["unknown", "healthy", "unhealthy"]);
    }
}
