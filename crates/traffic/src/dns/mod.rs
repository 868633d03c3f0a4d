//! An application's name in other people's DNS: it answers with the addresses of the active site.
//! Gates lead everybody to the active site before DNS does, so this is clean-up; it must be right
//! all the same.
//!
//! Beside each name stands a note (a TXT record) with the epoch that the answer is of. A change is
//! one message that names the note which it replaces, so that it is refused when anybody else was
//! faster; how, each provider's file says.
//!
//! Invariant: an answer is never replaced by one of an older epoch, and never by none.

mod ask;
mod error;
mod note;
mod provider;
pub mod server;
mod signed;

pub use error::DnsError;
pub use note::Note;
pub use provider::Publisher;
pub use signed::Signed;

use ask::{Told, ask};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mainstay_core::SiteName;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// What a name should answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub ttl: Duration,
    pub addresses: BTreeSet<IpAddr>,
    /// Some of the addresses are right, not only all: which of them is the server's choice.
    pub any: bool,
    /// Each site's part where answers are spread over them at Route 53; else empty.
    pub shares: Vec<Share>,
    pub note: Note,
    /// Also signed (DNSSEC).
    pub signed: bool,
}

/// One site's part of what a name answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub site: SiteName,
    pub addresses: BTreeSet<IpAddr>,
    /// In proportion; 0: only where none of the others is healthy.
    pub weight: u8,
    /// By its id at the provider.
    pub health_check: Option<String>,
}

/// What one server answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub addresses: BTreeSet<IpAddr>,
    /// Of the addresses, in seconds: a resolver counts it down.
    pub ttl: Option<u32>,
    /// None where there is none, and where a resolver was asked that has none.
    pub note: Option<Note>,
    /// None where something in it was not signed.
    pub signed: Option<Signed>,
}

impl Answer {
    /// Never with nothing.
    pub fn leads_as(&self, wanted: &Wanted) -> bool {
        match wanted.any {
            true => !self.addresses.is_empty() && self.addresses.is_subset(&wanted.addresses),
            false => self.addresses == wanted.addresses,
        }
    }

    pub fn is(&self, wanted: &Wanted) -> bool {
        self.leads_as(wanted)
            && self.note.as_ref() == Some(&wanted.note)
            && self.ttl.map(u64::from) == Some(wanted.ttl.as_secs())
            && self.is_signed_as(wanted)
    }

    /// Where it is to be signed, by signatures that held.
    pub fn is_signed_as(&self, wanted: &Wanted) -> bool {
        !wanted.signed || self.signed.as_ref().is_some_and(|signed| signed.held)
    }

    /// Only the time of its signatures may be another.
    pub fn same_as(&self, other: &Self) -> bool {
        let signed = match (&self.signed, &other.signed) {
            (Some(one), Some(other)) => one.same_as(other),
            (one, other) => one.is_none() == other.is_none(),
        };
        let Self { addresses, ttl, note, .. } = self;
        signed && (addresses, ttl, note) == (&other.addresses, &other.ttl, &other.note)
    }
}

/// What publishing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    Changed,
    /// It answered so already.
    AsItWas,
}

/// What this server answers now.
pub async fn look(server: &str, name: &str) -> Result<Answer, DnsError> {
    let mut answer = Answer::default();
    let mut sets = Vec::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        let Told { records, signatures } = ask(server, &host(name)?, kind).await?;
        if !records.is_empty() {
            sets.push(signatures);
        }
        for record in records {
            let address = match record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            answer.ttl = Some(answer.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
            answer.addresses.insert(address);
        }
    }
    let notes = ask(server, &note_name(name)?, RecordType::TXT).await?;
    answer.note = the_note(server, name, notes.records.iter().filter_map(text).collect())?;
    if !notes.records.is_empty() {
        sets.push(notes.signatures);
    }
    answer.signed = Signed::of(&sets, unix_seconds());
    Ok(answer)
}

/// There is one note or none; whatever else stands there is not ours to replace.
fn the_note(server: &str, name: &str, texts: Vec<String>) -> Result<Option<Note>, DnsError> {
    let unreadable = || DnsError::Unreadable {
        name: note::name(name),
        server: server.to_owned(),
        text: texts.join(" | "),
    };
    match texts.as_slice() {
        [] => Ok(None),
        [one] => Note::parse(one).map(Some).ok_or_else(unreadable),
        _ => Err(unreadable()),
    }
}

fn text(record: &Record) -> Option<String> {
    match &record.data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    }
}

fn host(name: &str) -> Result<Name, DnsError> {
    let parsed = Name::from_ascii(name);
    let mut parsed =
        parsed.map_err(|why| DnsError::Name { name: name.to_owned(), why: why.to_string() })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

fn note_name(name: &str) -> Result<Name, DnsError> {
    host(&note::name(name))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
