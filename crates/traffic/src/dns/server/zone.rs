//! Zones, looked up by name.

use crate::dns::{DnsError, host, note_name};
use hickory_proto::rr::{LowerName, Name};
use mainstay_core::estate::{DnsKind, Estate, Policy, PublishedName};
use mainstay_core::{ApplicationName, SiteName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A name of an application.
#[derive(Debug)]
pub struct Published {
    pub application: ApplicationName,
    pub ttl: Duration,
    pub addresses: BTreeMap<SiteName, Vec<IpAddr>>,
    pub policy: Policy,
}

/// What stands at a name.
#[derive(Debug, Clone)]
pub enum Owner {
    /// Nothing but names below it (RFC 8020).
    Between,
    /// A server of the zone.
    Server(Vec<IpAddr>),
    Published(Arc<Published>),
    /// The note beside a published name.
    Note(Arc<Published>),
}

#[derive(Debug)]
pub struct Zone {
    pub origin: LowerName,
    /// Where mail about the zone goes, as SOA records write it (RFC 1035, section 3.3.13).
    pub contact: Name,
    /// In the same order at every site; the first stands in the SOA record.
    pub servers: Vec<(Name, Vec<IpAddr>)>,
    pub owners: HashMap<LowerName, Owner>,
    /// Whose names stand in it.
    pub applications: BTreeSet<ApplicationName>,
}

#[derive(Debug, Default)]
pub struct Zones(Vec<Zone>);

impl Zones {
    /// The innermost zone that the name stands in.
    pub fn find(&self, name: &LowerName) -> Option<&Zone> {
        let around = self.0.iter().filter(|zone| zone.origin.zone_of(name));
        around.max_by_key(|zone| zone.origin.num_labels())
    }

    /// Those that the estate has Mainstay itself answer for.
    pub fn of(estate: &Estate) -> Result<Self, DnsError> {
        let mut zones = Vec::new();
        for zone in estate.dns.values() {
            let DnsKind::Own { contact, at } = &zone.kind else { continue };
            let mut built = Zone {
                origin: LowerName::from(host(&zone.zone)?),
                contact: host(contact)?,
                servers: Vec::new(),
                owners: HashMap::new(),
                applications: BTreeSet::new(),
            };
            for server in at.values() {
                let name = host(&server.name)?;
                built.put(&name, Owner::Server(server.addresses.clone()));
                built.servers.push((name, server.addresses.clone()));
            }
            built.put(&host(&zone.zone)?, Owner::Between);
            built.publish(estate, &zone.zone)?;
            zones.push(built);
        }
        Ok(Self(zones))
    }
}

impl Zone {
    fn publish(&mut self, estate: &Estate, zone: &str) -> Result<(), DnsError> {
        for application in estate.applications.values() {
            let names = application.names.iter().filter(|(_, published)| published.zone == zone);
            for (name, published) in names {
                let PublishedName { ttl, addresses, policy, .. } = published.clone();
                let application = application.name.clone();
                self.applications.insert(application.clone());
                let published = Arc::new(Published { application, ttl, addresses, policy });
                self.put(&host(name)?, Owner::Published(published.clone()));
                self.put(&note_name(name)?, Owner::Note(published));
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &Name, owner: Owner) {
        let mut above = name.base_name();
        while self.origin.zone_of(&LowerName::from(&above)) {
            self.owners.entry(LowerName::from(&above)).or_insert(Owner::Between);
            above = above.base_name();
        }
        let own = LowerName::from(name);
        // A server may be called something outside the zone: then others have its address.
        if self.origin.zone_of(&own) {
            match (self.owners.get(&own), &owner) {
                (Some(Owner::Server(_) | Owner::Published(_)), Owner::Between) => {}
                _ => drop(self.owners.insert(own, owner)),
            }
        }
    }
}
