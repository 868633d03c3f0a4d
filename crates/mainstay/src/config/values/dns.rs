//! Values of DNS.

use super::{Name, Read, Reader, Shape, Text, read_text};
use mainstay_core::estate::{Network, TsigAlgorithm};
use mainstay_core::notifier::HttpUrl;
use std::net::IpAddr;
use toml::Spanned;
use toml::de::DeValue;

/// How a zone is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsProvider {
    Rfc2136,
    Own,
    Route53,
    Cloudflare,
    Azure,
}

impl DnsProvider {
    pub fn word(self) -> &'static str {
        match self {
            Self::Rfc2136 => "rfc2136",
            Self::Own => "own",
            Self::Route53 => "route53",
            Self::Cloudflare => "cloudflare",
            Self::Azure => "azure",
        }
    }
}

text!(IpAddr, DnsName, DnsProvider, HttpUrl, Network, ProviderId, ResourceGroup, TsigAlgorithm);
words!(DnsProvider, "\"rfc2136\", \"own\", \"route53\", \"cloudflare\" or \"azure\"",
    "rfc2136" => Self::Rfc2136, "own" => Self::Own, "route53" => Self::Route53,
    "cloudflare" => Self::Cloudflare, "azure" => Self::Azure);
words!(TsigAlgorithm, "\"hmac-sha256\", \"hmac-sha384\" or \"hmac-sha512\"",
    "hmac-sha256" => Self::HmacSha256, "hmac-sha384" => Self::HmacSha384,
    "hmac-sha512" => Self::HmacSha512);

/// What a provider calls something of its own; it stands in paths of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderId(pub String);

impl Text for ProviderId {
    const WORDS: &'static str = "an id of letters, digits and hyphens, as the provider shows it";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        match !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err("is not an id".to_owned()),
        }
    }
}

/// What Azure calls a group of resources; it stands in paths of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceGroup(pub String);

impl Text for ResourceGroup {
    const WORDS: &'static str = "a resource group such as \"dns-production\"";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.()".contains(c);
        let fits = (1..=90).contains(&text.len()) && text.chars().all(plain);
        match fits && !text.ends_with('.') {
            true => Ok(Self(text.to_owned())),
            false => Err("is not the name of a resource group".to_owned()),
        }
    }
}

impl Text for HttpUrl {
    const WORDS: &'static str = "a URL such as \"https://api.example.org\"";
    fn parse(text: &str) -> Result<Self, String> {
        let url = Self::parse(text).map_err(str::to_owned)?;
        let local = ["127.0.0.1", "::1", "localhost"].contains(&url.host.as_str());
        match url.encrypted || local {
            true => Ok(url),
            false => Err("is not encrypted: whoever sees the requests has their key".to_owned()),
        }
    }
}

impl Text for IpAddr {
    const WORDS: &'static str = "an IP address such as \"192.0.2.10\" or \"2001:db8::10\"";
    fn parse(text: &str) -> Result<Self, String> {
        let address: IpAddr = text.parse().map_err(|_| "is not an IP address".to_owned())?;
        match address.is_unspecified() || address.is_multicast() {
            true => Err("is not the address of a host".to_owned()),
            false => Ok(address),
        }
    }
}

impl Text for Network {
    const WORDS: &'static str = "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
    fn parse(text: &str) -> Result<Self, String> {
        Network::parse(text).ok_or_else(|| "is not a network".to_owned())
    }
}

impl Text for DnsName {
    const WORDS: &'static str = "a name such as \"www.example.org\"";
    fn parse(text: &str) -> Result<Self, String> {
        <Self as Name>::name(text).map_err(|_| "is not a name in DNS".to_owned())
    }
}

/// A host name or a zone, without a dot at its end; in small letters, since DNS does not tell them
/// apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsName(pub String);

impl DnsName {
    /// Whether this name stands in that zone.
    pub fn is_in(&self, zone: &Self) -> bool {
        let inner = self.0.strip_suffix(&zone.0);
        inner.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl Name for DnsName {
    const PLACEHOLDER: &'static str = "\"<name>\"";
    fn name(text: &str) -> Result<Self, String> {
        let label = |label: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let ends = label.starts_with('-') || label.ends_with('-');
            (1..=63).contains(&label.len()) && label.chars().all(plain) && !ends
        };
        // The note beside it is ten letters longer; a name in DNS has 253 at most (RFC 1035).
        let fits = text.len() <= 243 && text.contains('.') && text.split('.').all(label);
        match fits {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!(
                "{text:?} is not a name in DNS: write \"www.example.org\", in quotes, without a \
                 dot at its end"
            )),
        }
    }
}
