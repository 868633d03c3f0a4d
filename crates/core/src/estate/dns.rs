//! Names of applications in DNS, and who serves their zones.

use crate::{Secret, SiteName};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Servers that hold a zone, and how it is changed there.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsZone {
    /// `example.org`, without a dot at its end.
    pub zone: String,
    pub kind: DnsKind,
    /// Each server that answers for the zone, `host:port`. Changes go to the first.
    pub servers: Vec<String>,
    /// Resolvers that `mainstay dns trace` asks besides.
    pub resolvers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DnsKind {
    /// Dynamic updates (RFC 2136); none: not signed.
    Rfc2136 { key: Option<TsigKey> },
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
}
