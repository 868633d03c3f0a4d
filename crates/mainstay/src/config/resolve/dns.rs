//! Zones with their keys, and names with the zone that they stand in.

use super::{Resolver, value};
use crate::config::reader::At;
use crate::config::typed::{self, Named};
use crate::config::values::{Address, DnsName, DnsProvider};
use mainstay_core::estate::{DnsKind, DnsZone, PublishedName, TsigKey};
use std::collections::BTreeMap;

impl Resolver<'_> {
    pub(super) fn zones(&mut self, file: &typed::File) -> Option<BTreeMap<String, DnsZone>> {
        let Some(table) = &file.dns else { return Some(BTreeMap::new()) };
        let zones = self.map(table, Self::zone)?;
        Some(zones.into_iter().map(|(name, zone)| (name.0, zone)).collect())
    }

    fn zone(&mut self, name: &DnsName, at: &At<typed::dns::Zone>) -> Option<DnsZone> {
        let DnsProvider::Rfc2136 = at.value.kind.as_ref()?.value;
        let key = match &at.value.key {
            Some(key) => Some(self.key(&key.value)?),
            None => None,
        };
        Some(DnsZone {
            zone: name.0.clone(),
            kind: DnsKind::Rfc2136 { key },
            servers: addresses(at.value.servers.as_ref()?),
            resolvers: at.value.resolvers.as_ref().map(addresses).unwrap_or_default(),
        })
    }

    fn key(&mut self, typed: &typed::dns::UpdateKey) -> Option<TsigKey> {
        let secret = self.secret(typed.secret.as_ref().filter(|_| self.secrets));
        Some(TsigKey {
            name: value(&typed.name)?,
            algorithm: value(&typed.algorithm)?,
            secret: secret?,
        })
    }
}

fn addresses(list: &At<Vec<At<Address>>>) -> Vec<String> {
    list.value.iter().map(|at| at.value.to_string()).collect()
}

/// The names of one application.
pub(super) fn names(
    file: &typed::File,
    application: &typed::Application,
) -> Option<BTreeMap<String, PublishedName>> {
    let entries = application.names.iter().flat_map(|table| &table.value);
    let one = |(name, at): (&DnsName, &At<typed::dns::PublishedName>)| {
        let addresses: &Named<_, _> = &at.value.addresses.as_ref()?.value;
        let published = PublishedName {
            zone: zone_of(file, name)?.0.clone(),
            ttl: value(&at.value.ttl)?,
            addresses: addresses
                .iter()
                .map(|(site, list)| {
                    (site.clone(), list.value.iter().map(|address| address.value).collect())
                })
                .collect(),
        };
        Some((name.0.clone(), published))
    };
    entries.map(one).collect()
}

/// The innermost zone of the file that the name stands in.
pub fn zone_of<'a>(file: &'a typed::File, name: &DnsName) -> Option<&'a DnsName> {
    let zones = file.dns.iter().flat_map(|table| table.value.keys());
    zones.filter(|zone| name.is_in(zone)).max_by_key(|zone| zone.0.len())
}
