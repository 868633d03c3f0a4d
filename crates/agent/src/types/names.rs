//! The application's names in DNS, and what their servers answer.

use mainstay_core::{ApplicationName, Epoch, SiteName};
use mainstay_traffic::dns::{Answer, DnsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A name, and what its servers answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NameView {
    pub name: String,
    /// The site that it should lead to.
    pub site: SiteName,
    pub epoch: Epoch,
    pub addresses: Vec<IpAddr>,
    /// Every server answers so.
    pub right: bool,
    /// How long that took from when this site knew of the epoch.
    pub moved_s: Option<f64>,
    pub servers: Vec<ServerView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerView {
    pub server: String,
    pub right: bool,
    pub answer: AnswerView,
    /// Since when it answers so, as this site's agent saw it.
    pub since_micros: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerView {
    pub addresses: Vec<IpAddr>,
    pub ttl: Option<u32>,
    /// What the note beside it says; resolvers may have none yet.
    pub epoch: Option<Epoch>,
    pub site: Option<SiteName>,
    /// None: not signed.
    #[serde(default)]
    pub signed: Option<SignedView>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedView {
    /// The keys' tags, as the zone's DNSKEY and DS records have them.
    pub keys: BTreeSet<u16>,
    pub until_micros: i64,
    /// The signatures held when the answer came.
    pub held: bool,
}

impl AnswerView {
    pub fn of(answer: &Result<Answer, DnsError>) -> Self {
        match answer {
            Ok(answer) => Self {
                addresses: answer.addresses.iter().copied().collect(),
                ttl: answer.ttl,
                epoch: answer.note.as_ref().map(|note| note.epoch),
                site: answer.note.as_ref().map(|note| note.site.clone()),
                signed: answer.signed.as_ref().map(|signed| SignedView {
                    keys: signed.keys.clone(),
                    until_micros: signed.until.saturating_mul(1_000_000),
                    held: signed.held,
                }),
                error: None,
            },
            Err(why) => Self { error: Some(why.to_string()), ..Self::default() },
        }
    }

    /// Only the time until which signatures hold may be another.
    pub fn same_as(&self, other: &Self) -> bool {
        let timeless = |view: &Self| {
            let mut view = view.clone();
            view.signed.iter_mut().for_each(|signed| signed.until_micros = 0);
            view
        };
        timeless(self) == timeless(other)
    }

    pub fn words(answer: &Answer) -> String {
        let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() { "nothing".into() } else { addresses.join(", ") };
        match &answer.note {
            Some(note) => format!("{addresses} for {} in epoch {}", note.site, note.epoch),
            None => format!("{addresses}, without a note"),
        }
    }
}

/// `key 12345`
pub fn keys_in_words(keys: &BTreeSet<u16>) -> String {
    let tags: Vec<String> = keys.iter().map(ToString::to_string).collect();
    format!("{} {}", if tags.len() == 1 { "key" } else { "keys" }, tags.join(", "))
}

/// `GET /v1/dns/trace`: asked of every server and resolver at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub application: ApplicationName,
    pub name: NameView,
    /// What resolvers answer; they may keep an older answer for its TTL.
    pub resolvers: Vec<ServerView>,
    pub now_micros: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceQuery {
    pub name: String,
}
