//! Azure's JSON: sets of records, what a zone tells, and errors.

use crate::dns::provider::http::Reply;
use crate::dns::{Wanted, note};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The note, once more, in the metadata of every set.
const NOTE: &str = "mainstay";
/// Of a message, what people are shown.
const LONGEST_MESSAGE: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    /// Of the note.
    Txt,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Txt => "TXT",
        }
    }

    /// Where its set stands.
    pub fn name(self, wanted: &Wanted) -> String {
        match self {
            Self::A | Self::Aaaa => wanted.name.clone(),
            Self::Txt => note::name(&wanted.name),
        }
    }

    /// Of what is wanted, what is in its set.
    fn addresses(self, wanted: &Wanted) -> BTreeSet<IpAddr> {
        let fits = |address: &&IpAddr| match self {
            Self::A => address.is_ipv4(),
            Self::Aaaa => address.is_ipv6(),
            Self::Txt => false,
        };
        wanted.addresses.iter().filter(fits).copied().collect()
    }
}

/// As it was read. It may be an alias, with what it stands for instead of records.
#[derive(Debug, Deserialize)]
pub struct Set {
    pub etag: String,
    properties: Properties,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(rename = "TTL", default)]
    ttl: u32,
    metadata: Option<BTreeMap<String, String>>,
    #[serde(rename = "ARecords")]
    a: Option<Vec<A>>,
    #[serde(rename = "AAAARecords")]
    aaaa: Option<Vec<Aaaa>>,
    #[serde(rename = "TXTRecords")]
    txt: Option<Vec<Txt>>,
    #[serde(rename = "targetResource")]
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct A {
    #[serde(rename = "ipv4Address")]
    address: IpAddr,
}

#[derive(Debug, Deserialize)]
struct Aaaa {
    #[serde(rename = "ipv6Address")]
    address: IpAddr,
}

/// Cut at 255 characters.
#[derive(Debug, Deserialize)]
struct Txt {
    value: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    id: Option<String>,
}

impl Set {
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    pub fn ttl(&self) -> u32 {
        self.properties.ttl
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let Properties { a, aaaa, .. } = &self.properties;
        let v4 = a.iter().flatten().map(|record| record.address);
        v4.chain(aaaa.iter().flatten().map(|record| record.address))
    }

    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.properties.txt.iter().flatten().map(|record| record.value.concat())
    }

    /// Whether it answers as wanted, and was written for that.
    pub fn is(&self, kind: Kind, wanted: &Wanted) -> bool {
        let noted = wanted.note.to_string();
        let texts: Vec<String> = self.texts().collect();
        let said = match kind {
            Kind::Txt => texts == [noted.as_str()],
            Kind::A | Kind::Aaaa => texts.is_empty(),
        };
        let metadata = self.properties.metadata.as_ref().and_then(|all| all.get(NOTE));
        let alias = self.properties.target.as_ref().is_some_and(|target| target.id.is_some());
        said && !alias
            && metadata == Some(&noted)
            && u64::from(self.ttl()) == wanted.ttl.as_secs()
            && self.addresses().collect::<BTreeSet<_>>() == kind.addresses(wanted)
    }
}

/// The set as it should be, with the metadata that others gave it.
pub fn wanted(kind: Kind, wanted: &Wanted, over: Option<&Set>) -> Value {
    let mut metadata = over.and_then(|set| set.properties.metadata.clone()).unwrap_or_default();
    metadata.insert(NOTE.to_owned(), wanted.note.to_string());
    let addresses = kind.addresses(wanted).into_iter();
    let (key, records): (&str, Vec<Value>) = match kind {
        Kind::A => ("ARecords", addresses.map(|it| json!({ "ipv4Address": it })).collect()),
        Kind::Aaaa => ("AAAARecords", addresses.map(|it| json!({ "ipv6Address": it })).collect()),
        Kind::Txt => ("TXTRecords", vec![json!({ "value": [wanted.note.to_string()] })]),
    };
    let ttl = wanted.ttl.as_secs();
    json!({ "properties": { "TTL": ttl, "metadata": metadata, key: records } })
}

/// Within its zone; the zone's own name is `@`.
pub fn relative<'a>(name: &'a str, zone: &str) -> &'a str {
    let inner = name.strip_suffix(zone).map(|inner| inner.trim_end_matches('.'));
    inner.filter(|inner| !inner.is_empty()).unwrap_or("@")
}

#[derive(Deserialize)]
struct Zone {
    properties: Delegation,
}

#[derive(Deserialize)]
struct Delegation {
    #[serde(rename = "nameServers", default)]
    servers: Vec<String>,
}

/// The zone's, without a dot at their end.
pub fn servers(body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let zone: Zone = serde_json::from_slice(body)?;
    let names = zone.properties.servers.iter();
    Ok(names.map(|name| name.trim_end_matches('.').to_owned()).collect())
}

/// Code and message. Azure DNS itself leaves `error` around them out, what stands before it does not.
pub fn error(reply: &Reply) -> (String, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let inner = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
    let word = |key: &str| inner[key].as_str().unwrap_or("no reason given");
    let message = word("message").lines().next().unwrap_or_default();
    (word("code").to_owned(), message.chars().take(LONGEST_MESSAGE).collect())
}

/// `invalid_client: AADSTS7000215: …`. What follows the first line are ids of the request.
pub fn login_error(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = |key: &str| body[key].as_str().unwrap_or("no reason given");
    let first = word("error_description").lines().next().unwrap_or_default();
    format!("{}: {first}", word("error")).chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn names_are_relative_to_their_zone() {
        assert_eq!(relative("bank.example.org", "example.org"), "bank");
        assert_eq!(relative("_mainstay.a.bank.example.org", "example.org"), "_mainstay.a.bank");
        assert_eq!(relative("example.org", "example.org"), "@");
        assert_eq!(relative("_mainstay.example.org", "example.org"), "_mainstay");
    }
}
