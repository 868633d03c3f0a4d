//! From a question to its answer: bytes in, bytes out. Time, chance and who asks come in as
//! arguments.

use super::known::Known;
use super::zone::Zones;
use hickory_proto::op::{Edns, Message, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};
use std::net::IpAddr;

/// What passes everywhere without being cut into pieces (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// A DNS message's header.
const HEADER: usize = 12;

#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub bytes: &'a [u8],
    pub from: IpAddr,
    pub room: Room,
    /// Decides between sites by their weights.
    pub chance: u32,
    /// In seconds since 1970: when signatures hold.
    pub now: u64,
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

/// An answer as it is put together; `records.rs` does.
pub(super) struct Draft<'a> {
    pub asked: &'a Asked<'a>,
    pub subnet: Option<ClientSubnet>,
    /// Whether signatures were asked for (RFC 3225).
    pub signed: bool,
    pub message: Message,
    pub for_everybody: bool,
}

impl<'a> Draft<'a> {
    fn to(request: &Message, asked: &'a Asked<'a>) -> Self {
        let mut message = Message::query();
        message.metadata = Metadata::response_from_request(&request.metadata);
        // A matter between resolvers and their clients (RFC 4035, section 3.1.6).
        message.metadata.checking_disabled = false;
        message.add_queries(request.queries.iter().cloned());
        let option = |edns: &Edns| edns.option(EdnsCode::Subnet).cloned();
        let subnet = match request.edns.as_ref().and_then(option) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet),
            _ => None,
        };
        let signed = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        Self { asked, subnet, signed, message, for_everybody: true }
    }

    fn finish(mut self, request: &Message, code: ResponseCode) -> Option<Answered> {
        self.message.metadata.response_code = code;
        if request.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD).set_dnssec_ok(self.signed);
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
        let mut bytes = self.message.to_vec().ok()?;
        if bytes.len() > room && !self.message.additionals.is_empty() {
            // Nobody asked for these: without them nothing is cut off (RFC 2181, section 9).
            self.message.additionals.clear();
            bytes = self.message.to_vec().ok()?;
        }
        if bytes.len() > room {
            bytes = self.message.truncate().to_vec().ok()?;
        }
        Some(Answered { bytes, for_everybody: self.for_everybody })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(bytes: &[u8], room: Room) -> Option<Answered> {
        let from = IpAddr::from([192, 0, 2, 1]);
        answer(
            &Zones::default(),
            &Known::default(),
            &Asked { bytes, from, room, chance: 0, now: 0 },
        )
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
