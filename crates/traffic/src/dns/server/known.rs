//! What is known of the applications: which site is active, in which epoch.

use mainstay_core::{ApplicationName, Epoch, SiteName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    pub epoch: Epoch,
    pub site: SiteName,
    /// Sites that this site's agent does not reach. The active one is never left out for it.
    #[serde(default)]
    pub away: BTreeSet<SiteName>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeMap<ApplicationName, Active>);

impl Known {
    pub fn of(&self, application: &ApplicationName) -> Option<&Active> {
        self.0.get(application)
    }

    /// Whether that changed anything. An epoch has one holder and never goes back.
    pub fn take(&mut self, application: &ApplicationName, active: Active) -> bool {
        if let Some(before) = self.0.get(application) {
            let older = active.epoch < before.epoch;
            let disputed = active.epoch == before.epoch && active.site != before.site;
            if older || disputed || *before == active {
                return false;
            }
        }
        self.0.insert(application.clone(), active);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(epoch: u64, site: &str) -> Active {
        let site = SiteName::new(site).unwrap();
        Active { epoch: Epoch::new(epoch), site, away: BTreeSet::new() }
    }

    #[test]
    fn neither_an_older_epoch_nor_a_second_holder_replaces_what_is_known() {
        let bank = ApplicationName::new("bank").unwrap();
        let mut known = Known::default();
        assert!(known.take(&bank, active(3, "west")));
        for refused in [active(2, "east"), active(3, "east"), active(3, "west")] {
            assert!(!known.take(&bank, refused));
        }
        assert_eq!(known.of(&bank), Some(&active(3, "west")));
        assert!(known.take(&bank, active(4, "east")));
        let alone = Active { away: [SiteName::new("west").unwrap()].into(), ..active(4, "east") };
        assert!(known.take(&bank, alone));
    }
}
