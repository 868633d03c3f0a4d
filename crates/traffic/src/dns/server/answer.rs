//! From a question to its answer: bytes in, bytes out. Time, chance and who asks come in as
//! arguments.

use super::known::{Active, Known};
use super::policy;
use super::zone::{Owner, Published, Zone, Zones};
use crate::dns::Note;
use hickory_proto::op::{Edns, Message, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, AAAA, HINFO, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};
use mainstay_core::estate::Policy;
use std::net::IpAddr;

/// What passes everywhere without being cut into pieces (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// A DNS message's header.
const HEADER: usize = 12;
/// Of what only changes with the configuration.
const STEADY_TTL: u32 = 3600;
/// How long a resolver may keep that there is nothing (RFC 2308).
const NOTHING_TTL: u32 = 30;

#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub bytes: &'a [u8],
    pub from: IpAddr,
    pub room: Room,
    /// Decides between sites by their weights.
    pub chance: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// What the client takes, and what the network does.
    Udp,
    Tcp,
    /// For no record at all: the client shall come over TCP.
    None,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    pub bytes: Vec<u8>,
    /// Whoever asks the same gets the same, while the same is known.
    pub for_everybody: bool,
}

/// None: not worth an answer. Whoever answered an answer could talk with us for ever.
pub fn answer(zones: &Zones, known: &Known, asked: &Asked<'_>) -> Option<Answered> {
    let bytes = asked.bytes;
    if bytes.len() < HEADER || bytes[2] & 0x80 != 0 {
        return None;
    }
    let Ok(request) = Message::from_vec(bytes) else {
        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
        let opcode = OpCode::from_u8(bytes[2] >> 3 & 0x0f);
        let malformed = Message::error_msg(number, opcode, ResponseCode::FormErr);
        return Some(Answered { bytes: malformed.to_vec().ok()?, for_everybody: false });
    };
    let mut draft = Draft::to(&request, asked);
    let code = match refusal(&request) {
        Some(code) => code,
        None => draft.fill(zones, known, &request.queries[0]),
    };
    draft.finish(&request, code)
}

/// What is answered without looking for the name.
fn refusal(request: &Message) -> Option<ResponseCode> {
    if request.version() > 0 {
        return Some(ResponseCode::BADVERS);
    }
    if request.metadata.op_code != OpCode::Query {
        return Some(ResponseCode::NotImp);
    }
    let [query] = request.queries.as_slice() else { return Some(ResponseCode::FormErr) };
    // Nobody has a key here (RFC 8945, section 5.2).
    if request.signature.is_some() {
        return Some(ResponseCode::NotAuth);
    }
    let transfer = matches!(query.query_type, RecordType::AXFR | RecordType::IXFR);
    (transfer || query.query_class != DNSClass::IN).then_some(ResponseCode::Refused)
}

struct Draft<'a> {
    asked: &'a Asked<'a>,
    subnet: Option<ClientSubnet>,
    message: Message,
    for_everybody: bool,
}

impl<'a> Draft<'a> {
    fn to(request: &Message, asked: &'a Asked<'a>) -> Self {
        let mut message = Message::query();
        message.metadata = Metadata::response_from_request(&request.metadata);
        message.add_queries(request.queries.iter().cloned());
        let option = |edns: &Edns| edns.option(EdnsCode::Subnet).cloned();
        let subnet = match request.edns.as_ref().and_then(option) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet),
            _ => None,
        };
        Self { asked, subnet, message, for_everybody: true }
    }

    fn fill(&mut self, zones: &Zones, known: &Known, query: &Query) -> ResponseCode {
        let name = LowerName::from(&query.name);
        let Some(zone) = zones.find(&name) else { return ResponseCode::Refused };
        let code = match zone.owners.get(&name) {
            None => ResponseCode::NXDomain,
            Some(owner) => self.stand_at(zone, known, owner, query),
        };
        self.message.metadata.authoritative = code != ResponseCode::ServFail;
        if matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
            && self.message.answers.is_empty()
        {
            let soa = RData::SOA(soa(zone, known));
            let origin = Name::from(&zone.origin);
            self.message.add_authority(Record::from_rdata(origin, NOTHING_TTL, soa));
        }
        code
    }

    fn stand_at(
        &mut self,
        zone: &Zone,
        known: &Known,
        owner: &Owner,
        query: &Query,
    ) -> ResponseCode {
        let name = &query.name;
        match (query.query_type, zone.origin == LowerName::from(name)) {
            // Not what all there is, only that there is something (RFC 8482).
            (RecordType::ANY, _) => {
                let hinfo = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
                self.add(name, STEADY_TTL, hinfo);
            }
            (RecordType::SOA, true) => self.add(name, STEADY_TTL, RData::SOA(soa(zone, known))),
            (RecordType::NS, true) => self.servers(zone, name),
            _ => return self.owned(known, owner, query),
        }
        ResponseCode::NoError
    }

    fn owned(&mut self, known: &Known, owner: &Owner, query: &Query) -> ResponseCode {
        let (name, kind) = (&query.name, query.query_type);
        match owner {
            Owner::Between => {}
            Owner::Server(addresses) => self.addresses(name, kind, STEADY_TTL, addresses),
            Owner::Published(published) => {
                let Some(active) = known.of(&published.application) else {
                    return ResponseCode::ServFail;
                };
                let site =
                    policy::site(published, active, self.client(published), self.asked.chance);
                let Some(addresses) = published.addresses.get(site) else {
                    return ResponseCode::ServFail;
                };
                self.addresses(name, kind, seconds(published), addresses);
            }
            Owner::Note(published) => {
                let Some(active) = known.of(&published.application) else {
                    return ResponseCode::ServFail;
                };
                if kind == RecordType::TXT {
                    let note = RData::TXT(TXT::new(vec![note(published, active)]));
                    self.add(name, seconds(published), note);
                }
            }
        }
        ResponseCode::NoError
    }

    /// Where the client is: what the resolver says of it, or else the resolver itself (RFC 7871).
    fn client(&mut self, published: &Published) -> IpAddr {
        self.for_everybody &= published.policy == Policy::Failover;
        let told = self.subnet.as_mut().filter(|subnet| subnet.source_prefix() > 0);
        let (Some(subnet), Policy::Nearest(_)) = (told, &published.policy) else {
            return self.asked.from;
        };
        // The answer is for exactly those that were asked for.
        subnet.set_scope_prefix(subnet.source_prefix());
        subnet.addr()
    }

    fn servers(&mut self, zone: &Zone, name: &Name) {
        for (server, addresses) in &zone.servers {
            self.add(name, STEADY_TTL, RData::NS(NS(server.clone())));
            for address in addresses {
                let record = Record::from_rdata(server.clone(), STEADY_TTL, data(*address));
                self.message.add_additional(record);
            }
        }
    }

    fn addresses(&mut self, name: &Name, kind: RecordType, ttl: u32, addresses: &[IpAddr]) {
        for data in addresses.iter().map(|address| data(*address)) {
            if data.record_type() == kind {
                self.add(name, ttl, data);
            }
        }
    }

    /// Under the name as it was asked for, in its own letters.
    fn add(&mut self, name: &Name, ttl: u32, data: RData) {
        self.message.add_answer(Record::from_rdata(name.clone(), ttl, data));
    }

    fn finish(mut self, request: &Message, code: ResponseCode) -> Option<Answered> {
        self.message.metadata.response_code = code;
        if let Some(asked) = &request.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD).set_dnssec_ok(asked.flags().dnssec_ok);
            if let Some(subnet) = self.subnet {
                edns.options_mut().insert(EdnsOption::Subnet(subnet));
            }
            self.message.set_edns(edns);
        }
        let room = match self.asked.room {
            Room::Udp => usize::from(request.max_payload().min(PAYLOAD)),
            Room::Tcp => usize::from(u16::MAX),
            Room::None => 0,
        };
        let whole = self.message.to_vec().ok()?;
        let bytes = match whole.len() <= room {
            true => whole,
            false => self.message.truncate().to_vec().ok()?,
        };
        Some(Answered { bytes, for_everybody: self.for_everybody })
    }
}

fn seconds(published: &Published) -> u32 {
    u32::try_from(published.ttl.as_secs()).unwrap_or(u32::MAX)
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

fn note(published: &Published, active: &Active) -> String {
    let Active { epoch, site, .. } = active.clone();
    Note { application: published.application.clone(), epoch, site }.to_string()
}

/// The serial number rises with every epoch and is the same at servers that know the same. Nobody
/// transfers the zone, so the other times mean nothing.
fn soa(zone: &Zone, known: &Known) -> SOA {
    let epochs = zone.applications.iter().filter_map(|application| known.of(application));
    let sum = epochs.fold(1_u64, |sum, active| sum.wrapping_add(active.epoch.number()));
    let serial = u32::try_from(sum & u64::from(u32::MAX)).unwrap_or_default();
    let first = zone.servers.first().map_or_else(Name::root, |(name, _)| name.clone());
    SOA::new(first, zone.contact.clone(), serial, 3600, 900, 86_400, NOTHING_TTL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(bytes: &[u8], room: Room) -> Option<Answered> {
        let from = IpAddr::from([192, 0, 2, 1]);
        answer(&Zones::default(), &Known::default(), &Asked { bytes, from, room, chance: 0 })
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer_with_their_number_or_none(bytes: Vec<u8>) {
            if let Some(answered) = answered(&bytes, Room::Tcp) {
                prop_assert_eq!(&answered.bytes[..2], &bytes[..2]);
                prop_assert_eq!(answered.bytes[2] & 0x80, 0x80);
            }
        }

        #[test]
        fn a_question_with_a_byte_changed_gets_an_answer_that_amplifies_little(
            at in 0_usize..40, byte: u8
        ) {
            let mut question = b"\x01\x02\x01\0\0\x01\0\0\0\0\0\x01\x03www\x07example\0\0\x01\0\x01\
                                 \0\0\x29\x04\xd0\0\0\0\0\0\0".to_vec();
            let length = question.len();
            question[at % length] = byte;
            if let Some(answered) = answered(&question, Room::None) {
                prop_assert!(answered.bytes.len() <= question.len() + 11);
            }
        }
    }
}
