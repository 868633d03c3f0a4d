//! Changing a zone by dynamic update (RFC 2136), signed with TSIG (RFC 8945).

use super::Provider;
use crate::dns::ask::{exchange, refused};
use crate::dns::{Answer, DnsError, Note, Wanted, host, look, note_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode, UpdateMessage};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm as Algorithm;
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use mainstay_core::estate::{DnsZone, TsigAlgorithm, TsigKey};
use std::net::IpAddr;

/// How far the server's clock may be from ours, in seconds; what RFC 8945 recommends.
const FUDGE: u16 = 300;

struct Change<'a> {
    zone: &'a str,
    wanted: &'a Wanted,
    /// The note that must still stand.
    over: Option<&'a Note>,
}

/// The zone's first server.
pub(super) struct Rfc2136 {
    zone: String,
    servers: Vec<String>,
    key: Option<TsigKey>,
}

impl Rfc2136 {
    pub fn new(zone: &DnsZone, key: Option<TsigKey>) -> Self {
        Self { zone: zone.zone.clone(), servers: zone.servers.clone(), key }
    }

    fn server(&self) -> Result<&str, DnsError> {
        self.servers.first().map(String::as_str).ok_or(DnsError::NoServer)
    }
}

impl Provider for Rfc2136 {
    type Standing = ();

    fn place(&self) -> String {
        self.servers.first().cloned().unwrap_or_default()
    }

    async fn standing(&self, name: &str) -> Result<(Answer, ()), DnsError> {
        Ok((look(self.server()?, name).await?, ()))
    }

    async fn change(&self, wanted: &Wanted, answer: &Answer, _: &()) -> Result<(), DnsError> {
        let change = Change { zone: &self.zone, wanted, over: answer.note.as_ref() };
        send(self.server()?, self.key.as_ref(), &change).await
    }

    async fn servers(&self) -> Result<Vec<String>, DnsError> {
        Ok(self.servers.clone())
    }
}

async fn send(server: &str, key: Option<&TsigKey>, change: &Change<'_>) -> Result<(), DnsError> {
    let signer = key.map(signer).transpose()?;
    let answer = exchange(server, message(change)?, signer.as_ref()).await?;
    let name = change.wanted.name.clone();
    match answer.response_code {
        ResponseCode::NoError => Ok(()),
        // A prerequisite does not hold (RFC 2136, section 3.2).
        ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::NXDomain => {
            Err(DnsError::Contended { name })
        }
        code => Err(refused(server, format!("the change of {name}"), code)),
    }
}

/// All or nothing (RFC 2136, section 3.4): the addresses and their note.
fn message(change: &Change<'_>) -> Result<Message, DnsError> {
    let Change { zone, wanted, over } = change;
    let (name, note) = (host(&wanted.name)?, note_name(&wanted.name)?);
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(host(zone)?, RecordType::SOA));
    message.add_pre_requisite(match over {
        Some(over) => note_record(&note, over, 0),
        None => empty(&note, DNSClass::NONE, RecordType::TXT),
    });
    for kind in [RecordType::A, RecordType::AAAA, RecordType::CNAME] {
        message.add_update(empty(&name, DNSClass::ANY, kind));
    }
    message.add_update(empty(&note, DNSClass::ANY, RecordType::TXT));
    let ttl = u32::try_from(wanted.ttl.as_secs()).unwrap_or(u32::MAX);
    for address in &wanted.addresses {
        let data = match address {
            IpAddr::V4(v4) => RData::A(A(*v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(*v6)),
        };
        message.add_update(Record::from_rdata(name.clone(), ttl, data));
    }
    message.add_update(note_record(&note, &wanted.note, ttl));
    Ok(message)
}

fn note_record(name: &Name, note: &Note, ttl: u32) -> Record {
    Record::from_rdata(name.clone(), ttl, RData::TXT(TXT::new(vec![note.to_string()])))
}

/// Of class ANY: delete the records of that kind. Of class NONE: there must be none.
fn empty(name: &Name, class: DNSClass, kind: RecordType) -> Record {
    let mut record: Record = Record::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

fn signer(key: &TsigKey) -> Result<TSigner, DnsError> {
    let refused = |why: String| DnsError::Key { key: key.name.clone(), why };
    let secret = key.secret.as_ref().ok_or_else(|| refused("its secret is not here".to_owned()))?;
    let bytes = STANDARD.decode(secret.expose().trim());
    let bytes = bytes.map_err(|_| refused("its secret is not base64".to_owned()))?;
    let algorithm = match key.algorithm {
        TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
    };
    TSigner::new(bytes, algorithm, host(&key.name)?, FUDGE).map_err(|why| refused(why.to_string()))
}
