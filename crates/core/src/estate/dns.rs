//! Names of applications in DNS, and who serves their zones.

use crate::notifier::HttpUrl;
use crate::{Secret, SiteName};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Servers that hold a zone, and how it is changed there.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsZone {
    /// `example.org`, without a dot at its end.
    pub zone: String,
    pub kind: DnsKind,
    /// Each server that answers for the zone, `host:port`. Dynamic updates go to the first. Empty
    /// where the provider tells them.
    pub servers: Vec<String>,
    /// Resolvers that `mainstay dns trace` asks besides.
    pub resolvers: Vec<String>,
}

impl DnsZone {
    /// Whether Mainstay's own servers are to sign their answers for it.
    pub fn signed(&self) -> bool {
        matches!(&self.kind, DnsKind::Own { signing_keys, .. } if !signing_keys.is_empty())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum DnsKind {
    /// Dynamic updates (RFC 2136); none: not signed.
    Rfc2136 {
        key: Option<TsigKey>,
    },
    /// Mainstay answers for it by itself, in the gate's process of each of these sites.
    Own {
        contact: String,
        at: BTreeMap<SiteName, OwnServer>,
        /// The files with the keys that it is signed with (DNSSEC); none: it is not signed.
        signing_keys: Vec<PathBuf>,
    },
    Route53(Route53),
    Cloudflare(Cloudflare),
    Azure(Azure),
}

/// A hosted zone of Amazon Route 53.
#[derive(Debug, Clone, PartialEq)]
pub struct Route53 {
    /// `Z0123456789ABC`; none: the one public zone of that name.
    pub zone_id: Option<String>,
    /// That requests are signed for.
    pub region: String,
    pub endpoint: HttpUrl,
    pub access: AwsAccess,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AwsAccess {
    /// None where nobody changes DNS (a witness).
    Key(Option<AwsKey>),
    /// The role of the machine, as its metadata service tells it.
    Instance { metadata: HttpUrl },
}

#[derive(Debug, Clone, PartialEq)]
pub struct AwsKey {
    pub id: Secret,
    pub secret: Secret,
    /// Of a key that ends by itself.
    pub session: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cloudflare {
    /// None: the zone of that name.
    pub zone_id: Option<String>,
    /// None where nobody changes DNS (a witness).
    pub token: Option<Secret>,
    pub endpoint: HttpUrl,
}

/// A public zone of Azure DNS.
#[derive(Debug, Clone, PartialEq)]
pub struct Azure {
    /// By its id.
    pub subscription: String,
    pub resource_group: String,
    pub endpoint: HttpUrl,
    pub access: AzureAccess,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AzureAccess {
    /// An application of the tenant; without its secret where nobody changes DNS (a witness).
    Client { login: HttpUrl, tenant: String, id: String, secret: Option<Secret> },
    /// The identity of the machine, as its metadata service tells it; of several, that client's.
    Machine { metadata: HttpUrl, client: Option<String> },
}

/// Mainstay's own server at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnServer {
    pub listen: SocketAddr,
    /// What the zone's NS records call it.
    pub name: String,
    /// Where resolvers reach it.
    pub addresses: Vec<IpAddr>,
}

/// A key that servers know updates by (TSIG, RFC 8945).
#[derive(Debug, Clone, PartialEq)]
pub struct TsigKey {
    pub name: String,
    pub algorithm: TsigAlgorithm,
    /// In base64, as the server's own file has it. None where nobody changes DNS (a witness).
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigAlgorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// What one of an application's names answers.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedName {
    /// The zone that it stands in, by the name under which the configuration has it.
    pub zone: String,
    /// How long a resolver may keep an answer.
    pub ttl: Duration,
    /// While the site is active.
    pub addresses: BTreeMap<SiteName, Vec<IpAddr>>,
    pub policy: Policy,
    /// At Route 53: what it asks by itself before it answers with a site's addresses. Empty, or one
    /// for each site.
    pub health_checks: BTreeMap<SiteName, String>,
}

/// Which site's addresses a name answers with. Only Mainstay's own server knows more than the
/// first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Policy {
    /// The active site's.
    #[default]
    Failover,
    /// Each site's as often as its weight says, of those that are there.
    Weighted(BTreeMap<SiteName, u32>),
    /// Those of the site whose network the client is in; of others, the active site's.
    Nearest(BTreeMap<SiteName, Vec<Network>>),
}

/// `10.0.0.0/8`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// At most 32, or 128 of IPv6.
    pub prefix: u8,
}

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
        let network = Self { address, prefix };
        (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(network)
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        let differs = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                u128::from(own.to_bits() ^ other.to_bits()) << 96
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => own.to_bits() ^ other.to_bits(),
            _ => return false,
        };
        differs.leading_zeros() >= u32::from(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        let holds = |network, address: &str| {
            Network::parse(network).unwrap().holds(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("192.0.2.7/32", "192.0.2.7"));
        assert!(!holds("192.0.2.7/32", "192.0.2.6"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "2001:db8::/129", "ten/8", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
