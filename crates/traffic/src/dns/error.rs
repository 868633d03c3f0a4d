//! What can go wrong with a published name.

use mainstay_core::Epoch;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// Whether a change was made is unknown.
    #[error("MS-DNS-001: the DNS server {server} does not answer: {why}")]
    Silent { server: String, why: String },
    #[error("MS-DNS-002: the DNS server {server} refused {what}: {code}")]
    Refused { server: String, what: String, code: String },
    #[error(
        "MS-DNS-003: {name} is published at {server} for epoch {published}, and this site's is \
         {ours}: nothing was changed"
    )]
    Stale { name: String, server: String, published: Epoch, ours: Epoch },
    /// Tried again it will be seen who.
    #[error(
        "MS-DNS-004: {name} was changed by somebody else at the same time; it is looked at again"
    )]
    Contended { name: String },
    #[error("MS-DNS-005: {name} is published at {server} for the application {of}")]
    Foreign { name: String, server: String, of: String },
    #[error("MS-DNS-006: the TXT record {name} at {server} is not Mainstay's note: {text}")]
    Unreadable { name: String, server: String, text: String },
    #[error("MS-DNS-007: {name} is no name in DNS: {why}")]
    Name { name: String, why: String },
    #[error("MS-DNS-008: the key {key} cannot be used: {why}")]
    Key { key: String, why: String },
    #[error(
        "MS-DNS-010: cannot answer DNS on {address}: {why}. See who has the port: ss -lntup; ports \
         below 1024 need CAP_NET_BIND_SERVICE; the address has to be one of this machine's"
    )]
    Listen { address: SocketAddr, why: String },
    /// Nothing of the key itself stands in it.
    #[error("MS-DNS-012: the signing key {path} cannot be used: {why}\n  {advice}", path = path.display())]
    SigningKey { path: PathBuf, why: String, advice: String },
    /// Whether a change was made is unknown.
    #[error("MS-DNS-015: {api} does not answer: {why}")]
    ApiSilent { api: &'static str, why: String },
    #[error("MS-DNS-016: {api} refused {what}: {why}")]
    ApiRefused { api: &'static str, what: String, why: String },
    #[error("MS-DNS-017: {api} takes no more requests for now; it is asked again by itself")]
    Throttled { api: &'static str },
    #[error("MS-DNS-018: {api} has no zone {zone} for this key: {why}")]
    NoZone { api: &'static str, zone: String, why: String },
    #[error("MS-DNS-019: no credentials for {api}: {why}")]
    Credentials { api: &'static str, why: String },
    #[error("MS-DNS-020: {name} cannot be changed at {api}: {why}")]
    InTheWay { api: &'static str, name: String, why: String },
    #[error("{name} was not published: this site is not active any more")]
    NotActive { name: String },
    #[error("no server is named for the zone")]
    NoServer,
}
