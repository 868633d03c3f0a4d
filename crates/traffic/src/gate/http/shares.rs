//! Which site answers a request that only reads, where each has a share of them.

use super::headers::Head;
use super::sticky::{Place, mark};
use mainstay_core::SiteName;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// 2^32 divided by the golden ratio: its multiples fall evenly into every interval.
const STEP: u32 = 0x9e37_79b9;

#[derive(Debug)]
pub struct Shares {
    sites: Vec<Share>,
    total: u64,
    next: AtomicU32,
}

#[derive(Debug)]
struct Share {
    site: SiteName,
    mark: u32,
    weight: u32,
}

impl Shares {
    /// None when nothing is shared.
    pub fn new(weights: &BTreeMap<SiteName, u32>) -> Option<Self> {
        let share = |(site, weight): (&SiteName, &u32)| Share {
            site: site.clone(),
            mark: mark(site.as_str()),
            weight: *weight,
        };
        let sites: Vec<_> = weights.iter().filter(|(_, weight)| **weight > 0).map(share).collect();
        let total = sites.iter().map(|share| u64::from(share.weight)).sum();
        (total > 0).then(|| Self { sites, total, next: AtomicU32::new(0) })
    }

    /// The site that the client was with, as long as it has a share; a new client's by weight.
    pub fn pick(&self, head: &Head, cookie: Option<&str>) -> Option<&SiteName> {
        let place = cookie.and_then(|name| Place::read(&head.headers, name));
        let known = place.and_then(|place| self.sites.iter().find(|one| one.mark == place.site));
        known.map(|share| &share.site).or_else(|| self.by_weight())
    }

    fn by_weight(&self) -> Option<&SiteName> {
        let point = self.next.fetch_add(STEP, Relaxed);
        let mut point = (u64::from(point) * self.total) >> 32;
        let found = self.sites.iter().find(|share| match point.checked_sub(share.weight.into()) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        });
        found.map(|share| &share.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_gets_its_share_also_of_few_requests() {
        let site = |name| SiteName::new(name).unwrap();
        let weights = [(site("dallas"), 95), (site("ohio"), 5), (site("paris"), 0)];
        let shares = Shares::new(&weights.into()).unwrap();
        for _ in 0..10 {
            let picked = (0..100).map(|_| shares.by_weight().unwrap().as_str());
            let ohio = picked.filter(|name| *name == "ohio").count();
            assert!((4..=6).contains(&ohio), "{ohio} of 100");
        }
        assert!((0..100).all(|_| shares.by_weight() != Some(&site("paris"))));
        assert!(Shares::new(&[(site("paris"), 0)].into()).is_none());
    }
}
