//! What the sites agree on: one record per application, kept by the coordinator and changed only
//! by compare-and-set.

use crate::{Epoch, Pause, Position, SiteName, StoreName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The agreement about one application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub epoch: Epoch,
    /// The holder of the epoch. An epoch has one holder for ever.
    pub active: SiteName,
    /// The holder of the epoch before, from whom salvage may be due.
    pub former: Option<SiteName>,
    pub cause: Cause,
    /// Rises with every renewal of the lease. A candidate only watches whether it changes, so no
    /// two clocks need to agree.
    pub renewal: u64,
    /// The end of each store's history at the active site, as of this renewal.
    pub positions: BTreeMap<StoreName, Position>,
    /// Set while the active site is fenced for a planned move.
    pub handover: Option<Handover>,
    /// Set while no failover may begin by itself. It outlives a change of the active site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Box<Pause>>,
    /// The lease by which the active site goes, in milliseconds: the configuration of another site
    /// may be a version behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// Why the active site is the active site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The first epoch: the home site of the configuration.
    Initial,
    /// The agents found the former site gone.
    Automatic,
    /// A person ordered a failover.
    Ordered,
    /// A planned move.
    Switchover,
}

/// The active site's word that it has fenced itself in favour of another, and where its stores
/// ended. While it stands the active site accepts no writes; it takes it back only by removing it
/// from the record, and the other site becomes active only while it is there. So the two exclude
/// each other, whoever crashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    pub execution: String,
    pub to: SiteName,
    pub positions: BTreeMap<StoreName, Position>,
}

impl Record {
    pub fn first(home: SiteName) -> Self {
        Self {
            epoch: Epoch::new(1),
            active: home,
            former: None,
            cause: Cause::Initial,
            renewal: 0,
            positions: BTreeMap::new(),
            handover: None,
            pause: None,
            lease_ms: None,
        }
    }

    /// The record in which `site` takes over from the active one.
    #[must_use]
    pub fn claimed_by(&self, site: &SiteName, cause: Cause) -> Self {
        Self {
            epoch: self.epoch.next(),
            active: site.clone(),
            former: Some(self.active.clone()),
            cause,
            renewal: 0,
            positions: BTreeMap::new(),
            handover: None,
            pause: self.pause.clone(),
            lease_ms: None,
        }
    }

    #[must_use]
    pub fn renewed(&self, positions: BTreeMap<StoreName, Position>) -> Self {
        Self { renewal: self.renewal + 1, positions, ..self.clone() }
    }

    #[must_use]
    pub fn handed_over(&self, handover: Option<Handover>) -> Self {
        Self { renewal: self.renewal + 1, handover, ..self.clone() }
    }

    /// With a pause, or without one. It renews nothing: the renewal stays what it is.
    #[must_use]
    pub fn with_pause(&self, pause: Option<Pause>) -> Self {
        Self { pause: pause.map(Box::new), ..self.clone() }
    }

    /// With the lease by which its holder goes.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease_ms: Some(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    /// None where the holder does not tell.
    pub fn lease(&self) -> Option<Duration> {
        self.lease_ms.map(Duration::from_millis)
    }

    /// Whether they are the same but for the pause, which every site may change.
    pub fn differs_at_most_in_pause(&self, other: &Record) -> bool {
        Self { pause: other.pause.clone(), ..self.clone() } == *other
    }

    /// Whether the coordinator may replace `self` by `next`. The rules hold for every writer, so
    /// that a faulty agent cannot break them.
    pub fn allows(&self, next: &Record) -> Result<(), Refusal> {
        if next.epoch < self.epoch {
            return Err(Refusal::EpochGoesBack { from: self.epoch, to: next.epoch });
        }
        if next.epoch == self.epoch {
            return self.allows_same_epoch(next);
        }
        if next.epoch != self.epoch.next() {
            return Err(Refusal::EpochSkips { from: self.epoch, to: next.epoch });
        }
        if next.former.as_ref() != Some(&self.active) {
            return Err(Refusal::WrongFormer { former: self.active.clone() });
        }
        Ok(())
    }

    fn allows_same_epoch(&self, next: &Record) -> Result<(), Refusal> {
        let same_holder = next.active == self.active && next.former == self.former;
        if !same_holder || next.cause != self.cause {
            return Err(Refusal::EpochHasHolder { epoch: self.epoch, holder: self.active.clone() });
        }
        let pauses = self.pause != next.pause && self.differs_at_most_in_pause(next);
        if next.renewal <= self.renewal && !pauses {
            return Err(Refusal::RenewalGoesBack);
        }
        Ok(())
    }
}

/// Why a change of the record is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the epoch would go back from {from} to {to}")]
    EpochGoesBack { from: Epoch, to: Epoch },
    #[error("the epoch would skip from {from} to {to}")]
    EpochSkips { from: Epoch, to: Epoch },
    #[error("epoch {epoch} belongs to site {holder}")]
    EpochHasHolder { epoch: Epoch, holder: SiteName },
    #[error("the renewal would not rise")]
    RenewalGoesBack,
    #[error("the former active site is {former}")]
    WrongFormer { former: SiteName },
    #[error("the first record must be epoch 1, initial")]
    NotFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> SiteName {
        SiteName::new(name).unwrap()
    }

    #[test]
    fn an_epoch_never_goes_back_skips_or_changes_its_holder() {
        let first = Record::first(site("east"));
        let second = first.claimed_by(&site("west"), Cause::Automatic);
        assert_eq!(first.allows(&second), Ok(()));
        assert!(matches!(second.allows(&first), Err(Refusal::EpochGoesBack { .. })));

        let skipping = Record { epoch: Epoch::new(3), ..second.clone() };
        assert!(matches!(first.allows(&skipping), Err(Refusal::EpochSkips { .. })));

        let stolen = Record { active: site("west"), renewal: 9, ..first.clone() };
        assert!(matches!(first.allows(&stolen), Err(Refusal::EpochHasHolder { .. })));

        let lying = Record { former: Some(site("north")), ..second };
        assert!(matches!(first.allows(&lying), Err(Refusal::WrongFormer { .. })));
    }

    #[test]
    fn a_renewal_rises() {
        let first = Record::first(site("east"));
        let renewed = first.renewed(BTreeMap::new());
        assert_eq!(first.allows(&renewed), Ok(()));
        let older = first.with_pause(Some(pause()));
        assert_eq!(renewed.allows(&older), Err(Refusal::RenewalGoesBack));
    }

    fn pause() -> Pause {
        Pause {
            by: "alice".to_owned(),
            site: site("west"),
            reason: "new disks".to_owned(),
            since_micros: 0,
            left: std::time::Duration::from_secs(60),
        }
    }

    #[test]
    fn a_pause_is_changed_without_a_renewal_and_changes_nothing_else() {
        let first = Record::first(site("east"));
        let paused = first.with_pause(Some(pause()));
        assert_eq!(first.allows(&paused), Ok(()));
        assert_eq!(paused.allows(&first), Ok(()));
        let more = Record { positions: BTreeMap::new(), handover: handover(), ..paused.clone() };
        assert_eq!(first.allows(&more), Err(Refusal::RenewalGoesBack));
        let claimed = paused.claimed_by(&site("west"), Cause::Switchover);
        assert_eq!(claimed.pause, paused.pause, "it outlives a move");
    }

    fn handover() -> Option<Handover> {
        let to = site("west");
        Some(Handover { execution: String::new(), to, positions: BTreeMap::new() })
    }
}
