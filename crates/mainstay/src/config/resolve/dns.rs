//! Zones with their keys, and names with the zone that they stand in.

use super::{Resolver, value};
use crate::config::reader::At;
use crate::config::typed::dns::PublishedName as Typed;
use crate::config::typed::{self, Named};
use crate::config::values::{Address, DnsName, DnsProvider, SecretReference};
use mainstay_core::SiteName;
use mainstay_core::estate::{
    AwsAccess, AwsKey, Azure, AzureAccess, Cloudflare, DnsKind, DnsZone, OwnServer, Policy,
    PublishedName, Route53, TsigKey,
};
use mainstay_core::notifier::HttpUrl;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a machine of EC2, or of Azure, asks who it is.
const METADATA: &str = "http://169.254.169.254";

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
            DnsProvider::Route53 => {
                let kind = DnsKind::Route53(self.route53(typed.route53.as_ref())?);
                (kind, typed.servers.as_ref().map(addresses).unwrap_or_default())
            }
            DnsProvider::Cloudflare => {
                let kind = DnsKind::Cloudflare(self.cloudflare(&typed.cloudflare.as_ref()?.value)?);
                (kind, typed.servers.as_ref().map(addresses).unwrap_or_default())
            }
            DnsProvider::Azure => {
                let kind = DnsKind::Azure(self.azure(&typed.azure.as_ref()?.value)?);
                (kind, typed.servers.as_ref().map(addresses).unwrap_or_default())
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

    /// Without a table, all is as it is usual.
    fn route53(&mut self, typed: Option<&At<typed::dns::Route53Zone>>) -> Option<Route53> {
        let typed = typed.map(|at| &at.value);
        let written = |of: fn(&typed::dns::Route53Zone) -> &Option<At<SecretReference>>| {
            typed.and_then(|typed| of(typed).as_ref())
        };
        let access = match (written(|it| &it.access_key), written(|it| &it.secret_key)) {
            (None, None) => AwsAccess::Instance { metadata: HttpUrl::parse(METADATA).ok()? },
            _ if !self.secrets => AwsAccess::Key(None),
            (id, secret) => {
                let session = written(|it| &it.session_token);
                let (id, secret) = (self.secret(id), self.secret(secret));
                let session = self.secret(session)?;
                AwsAccess::Key(Some(AwsKey { id: id??, secret: secret??, session }))
            }
        };
        Some(Route53 {
            zone_id: typed.and_then(|it| value(&it.zone_id)).map(|id| id.0),
            region: match typed {
                Some(typed) => value(&typed.region)?.0,
                None => "us-east-1".to_owned(),
            },
            endpoint: match typed {
                Some(typed) => value(&typed.endpoint)?,
                None => HttpUrl::parse("https://route53.amazonaws.com").ok()?,
            },
            access,
        })
    }

    fn cloudflare(&mut self, typed: &typed::dns::CloudflareZone) -> Option<Cloudflare> {
        Some(Cloudflare {
            zone_id: value(&typed.zone_id).map(|id| id.0),
            token: self.secret(typed.token.as_ref().filter(|_| self.secrets))?,
            endpoint: value(&typed.endpoint)?,
        })
    }

    fn azure(&mut self, typed: &typed::dns::AzureZone) -> Option<Azure> {
        let client = value(&typed.client_id).map(|id| id.0);
        let access = match &typed.client_secret {
            None => AzureAccess::Machine { metadata: HttpUrl::parse(METADATA).ok()?, client },
            Some(secret) => AzureAccess::Client {
                login: value(&typed.login)?,
                tenant: value(&typed.tenant)?.0,
                id: client?,
                secret: self.secret(Some(secret).filter(|_| self.secrets))?,
            },
        };
        Some(Azure {
            subscription: value(&typed.subscription)?.0,
            resource_group: value(&typed.resource_group)?.0,
            endpoint: value(&typed.endpoint)?,
            access,
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
            health_checks: health_checks(meant),
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

fn health_checks(typed: &Typed) -> BTreeMap<SiteName, String> {
    let all = typed.health_checks.iter().flat_map(|table| &table.value);
    all.map(|(site, at)| (site.clone(), at.value.0.clone())).collect()
}

/// The innermost zone of the file that the name stands in.
pub fn zone_of<'a>(file: &'a typed::File, name: &DnsName) -> Option<&'a DnsName> {
    let zones = file.dns.iter().flat_map(|table| table.value.keys());
    zones.filter(|zone| name.is_in(zone)).max_by_key(|zone| zone.0.len())
}
