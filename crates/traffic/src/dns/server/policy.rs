//! Which site's addresses a name answers with.

use super::known::Active;
use super::zone::Published;
use mainstay_core::SiteName;
use mainstay_core::estate::{Network, Policy};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Never empty: where a policy finds no site that is there, it is the active one.
pub fn site<'a>(
    published: &'a Published,
    active: &'a Active,
    client: IpAddr,
    chance: u32,
) -> &'a SiteName {
    let there = |site: &SiteName| *site == active.site || !active.away.contains(site);
    let chosen = match &published.policy {
        Policy::Failover => None,
        Policy::Weighted(weights) => weighted(weights, there, chance),
        Policy::Nearest(networks) => nearest(networks, there, client),
    };
    chosen.unwrap_or(&active.site)
}

fn weighted(
    weights: &BTreeMap<SiteName, u32>,
    there: impl Fn(&SiteName) -> bool,
    chance: u32,
) -> Option<&SiteName> {
    let candidates = || weights.iter().filter(|(site, _)| there(site));
    let total: u64 = candidates().map(|(_, weight)| u64::from(*weight)).sum();
    let mut left = u64::from(chance).checked_rem(total)?;
    for (site, weight) in candidates() {
        match left.checked_sub(u64::from(*weight)) {
            Some(rest) => left = rest,
            None => return Some(site),
        }
    }
    None
}

/// The smallest network that holds the client decides.
fn nearest(
    networks: &BTreeMap<SiteName, Vec<Network>>,
    there: impl Fn(&SiteName) -> bool,
    client: IpAddr,
) -> Option<&SiteName> {
    let of_sites = networks.iter().filter(|(site, _)| there(site));
    let all = of_sites.flat_map(|(site, list)| list.iter().map(move |network| (site, network)));
    let holding = all.filter(|(_, network)| network.holds(client));
    holding.max_by_key(|(_, network)| network.prefix).map(|(site, _)| site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::{ApplicationName, Epoch};
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn name(text: &str) -> SiteName {
        SiteName::new(text).unwrap()
    }

    fn published(policy: Policy) -> Published {
        Published {
            application: ApplicationName::new("bank").unwrap(),
            ttl: Duration::from_secs(30),
            addresses: BTreeMap::new(),
            policy,
        }
    }

    fn active(away: &[&str]) -> Active {
        let away = away.iter().map(|site| name(site)).collect::<BTreeSet<_>>();
        Active { epoch: Epoch::new(1), site: name("east"), away }
    }

    const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    #[test]
    fn weights_say_how_often_and_who_is_away_gets_nothing() {
        let weights = [(name("east"), 95), (name("west"), 5)].into();
        let published = published(Policy::Weighted(weights));
        let west = |away: &[&str]| {
            let active = active(away);
            (0..1000).filter(|it| *site(&published, &active, NOBODY, *it) == name("west")).count()
        };
        assert_eq!(west(&[]), 50);
        assert_eq!(west(&["west"]), 0);
        // The active site serves, whatever the agent sees of it.
        assert_eq!(west(&["east"]), 50);
    }

    #[test]
    fn without_any_weight_that_counts_it_is_the_active_site() {
        let weights = [(name("east"), 0), (name("west"), 5)].into();
        let published = published(Policy::Weighted(weights));
        assert_eq!(*site(&published, &active(&["west"]), NOBODY, 7), name("east"));
    }

    #[test]
    fn the_smallest_network_decides_and_others_go_to_the_active_site() {
        let network = |text| vec![Network::parse(text).unwrap()];
        let networks =
            [(name("east"), network("10.0.0.0/8")), (name("west"), network("10.9.0.0/16"))];
        let published = published(Policy::Nearest(networks.into()));
        let at = |client: &str, away: &[&str]| {
            site(&published, &active(away), client.parse().unwrap(), 0).clone()
        };
        assert_eq!(at("10.1.2.3", &[]), name("east"));
        assert_eq!(at("10.9.2.3", &[]), name("west"));
        assert_eq!(at("10.9.2.3", &["west"]), name("east"));
        assert_eq!(at("192.0.2.1", &[]), name("east"));
    }
}
