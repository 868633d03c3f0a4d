//! Zones with their keys, and names with the zone that they stand in.

use super::{Resolver, value};
use crate::config::reader::At;
use crate::config::typed::dns::PublishedName as Typed;
use crate::config::typed::{self, Named};
use crate::config::values::{Address, DnsName, DnsProvider, SecretReference};
use mainstay_core::estate::{DnsKind, DnsZone, OwnServer, Policy, PublishedName, TsigKey};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

impl Resolver<'_> {
    pub(super) fn zones(&mut self, file: &typed::File) -> Option<BTreeMap<String, DnsZone>> {
        let Some(table) = &file.dns else { return Some(BTreeMap::new()) };
        let zones = self.map(table, Self::zone)?;
        Some(zones.into_iter().map(|(name, zone)| (name.0, zone)).collect())
    }

    fn zone(&mut self, name: &DnsName, at: &At<typed::dns::Zone>) -> Option<DnsZone> {
        let typed = &at.value;
        let (kind, servers) = match typed.kind.as_ref()?.value {
            DnsProvider::Rfc2136 => {
                let key = match &typed.key {
                    Some(key) => Some(self.key(&key.value)?),
                    None => None,
                };
                (DnsKind::Rfc2136 { key }, addresses(typed.servers.as_ref()?))
            }
            DnsProvider::Own => {
                let at = self.map(typed.sites.as_ref()?, |_, _, at| own(&at.value))?;
                let contact = typed.contact.as_ref().map(|at| at.value.0.clone());
                let contact = contact.unwrap_or_else(|| format!("hostmaster.{}", name.0));
                let servers = at.values().filter_map(reached).collect();
                let signing_keys = self.signing_keys(typed);
                (DnsKind::Own { contact, at, signing_keys }, servers)
            }
        };
        let resolvers = typed.resolvers.as_ref().map(addresses).unwrap_or_default();
        Some(DnsZone { zone: name.0.clone(), kind, servers, resolvers })
    }

    /// Where they are: only the gate's process reads them, and `mainstay check`.
    fn signing_keys(&self, typed: &typed::dns::Zone) -> Vec<PathBuf> {
        let all = typed.signing_keys.iter().flat_map(|list| &list.value);
        let files = all.filter_map(|at| match &at.value {
            SecretReference::File(written) => Some(self.vault.path(written)),
            SecretReference::Variable(_) => None,
        });
        files.collect()
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

fn own(typed: &typed::dns::OwnServer) -> Option<OwnServer> {
    let listen = value(&typed.listen)?;
    Some(OwnServer {
        listen,
        name: typed.name.as_ref()?.value.0.clone(),
        addresses: typed.addresses.as_ref()?.value.iter().map(|at| at.value).collect(),
    })
}

/// Where agents ask it: where it listens, unless that is everywhere.
fn reached(server: &OwnServer) -> Option<String> {
    let ip = match server.listen.ip() {
        ip if ip.is_unspecified() => *server.addresses.first()?,
        ip => ip,
    };
    Some(SocketAddr::new(ip, server.listen.port()).to_string())
}

fn addresses(list: &At<Vec<At<Address>>>) -> Vec<String> {
    list.value.iter().map(|at| at.value.to_string()).collect()
}

/// The names of one application.
pub(super) fn names(
    file: &typed::File,
    application: &typed::Application,
) -> Option<BTreeMap<String, PublishedName>> {
    let entries = || application.names.iter().flat_map(|table| &table.value);
    let one = |(name, at): (&DnsName, &At<Typed>)| {
        let alias = at.value.alias.as_ref().map(|alias| &alias.value);
        let meant = match alias {
            Some(alias) => &entries().find(|(other, _)| *other == alias)?.1.value,
            None => &at.value,
        };
        let published = PublishedName {
            zone: zone_of(file, name)?.0.clone(),
            ttl: value(&at.value.ttl)?,
            addresses: lists(&meant.addresses.as_ref()?.value),
            policy: policy(meant),
        };
        Some((name.0.clone(), published))
    };
    entries().map(one).collect()
}

fn lists<K: Ord + Clone, T: Clone>(typed: &Named<K, Vec<At<T>>>) -> BTreeMap<K, Vec<T>> {
    let plain = |list: &At<Vec<At<T>>>| list.value.iter().map(|at| at.value.clone()).collect();
    typed.iter().map(|(key, list)| (key.clone(), plain(list))).collect()
}

fn policy(typed: &Typed) -> Policy {
    match (&typed.weights, &typed.networks) {
        (Some(weights), _) => {
            let weights = weights.value.iter().map(|(site, at)| (site.clone(), at.value.0));
            Policy::Weighted(weights.collect())
        }
        (None, Some(networks)) => Policy::Nearest(lists(&networks.value)),
        (None, None) => Policy::Failover,
    }
}

/// The innermost zone of the file that the name stands in.
pub fn zone_of<'a>(file: &'a typed::File, name: &DnsName) -> Option<&'a DnsName> {
    let zones = file.dns.iter().flat_map(|table| table.value.keys());
    zones.filter(|zone| name.is_in(zone)).max_by_key(|zone| zone.0.len())
}
