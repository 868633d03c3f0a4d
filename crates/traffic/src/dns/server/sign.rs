//! Signatures over what is answered (RRSIG, RFC 4034), made when they are first asked for.
//!
//! Every signature of one hour holds over the same time, so that both sites' servers say the same,
//! and an answer that is asked for again costs nothing. What can be signed is what the configuration
//! names, so nobody can have more signatures made than that, each hour, however much they ask.

use super::keys::{ALGORITHM, SigningKey};
use hickory_proto::dnssec::TBS;
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG, SigInput};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType, SerialNumber};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const HOUR: u64 = 3600;
/// Signatures hold from two hours before the full hour: with our clock an hour fast and the
/// resolver's an hour slow they hold already.
const BEFORE: u64 = 2 * HOUR;
/// And until 26 hours after it: at their oldest still for a day, the longest TTL of a name, and an
/// hour more. Whoever records an answer can show it for no longer.
const AFTER: u64 = 26 * HOUR;

/// The full hour before, in seconds since 1970: a signature is good for no other.
pub fn hour(now: u64) -> u64 {
    now / HOUR * HOUR
}

/// One zone's keys, and the signatures of this hour. Every key signs everything (RFC 6781, section
/// 4.1.3: double signatures), so either of two alone is enough for a resolver.
#[derive(Debug)]
pub struct Signer {
    origin: Name,
    zone: LowerName,
    keys: Vec<SigningKey>,
    made: Mutex<Made>,
}

/// By the bytes that were signed, which name the key and the time too.
#[derive(Debug, Default)]
struct Made {
    hour: u64,
    signatures: HashMap<Vec<u8>, Vec<u8>>,
}

impl Made {
    /// More than any configuration names.
    const MOST: usize = 1 << 14;
}

impl Signer {
    pub fn new(origin: &LowerName, keys: Vec<SigningKey>) -> Self {
        let (zone, made) = (origin.clone(), Mutex::default());
        Self { origin: Name::from(origin), zone, keys, made }
    }

    /// What validators know the keys by.
    pub fn public(&self) -> impl Iterator<Item = RData> {
        self.keys.iter().map(|key| RData::from(key.public.clone()))
    }

    /// Puts the signatures behind the records of one section. None when one cannot be made.
    pub fn sign(&self, section: &mut Vec<Record>, now: u64) -> Option<()> {
        let kind = |record: &Record| u16::from(record.record_type());
        section.sort_by(|one, other| (&one.name, kind(one)).cmp(&(&other.name, kind(other))));
        let sets =
            section.chunk_by(|one, other| one.name == other.name && kind(one) == kind(other));
        // What others own is not ours to sign, and signatures are not signed.
        let ours = sets.filter(|set| {
            let first = &set[0];
            let in_zone = self.zone.zone_of(&LowerName::from(&first.name));
            in_zone && first.record_type() != RecordType::RRSIG
        });
        let signed = ours.flat_map(|set| self.keys.iter().map(|key| self.signature(set, key, now)));
        let signatures: Vec<Record> = signed.collect::<Option<_>>()?;
        section.extend(signatures);
        Some(())
    }

    fn signature(&self, set: &[Record], key: &SigningKey, now: u64) -> Option<Record> {
        let Record { name, ttl, .. } = set.first()?;
        let hour = hour(now);
        // Times go round after 136 years, and are compared so (RFC 1982).
        let serial = |seconds: u64| SerialNumber::new((seconds & u64::from(u32::MAX)) as u32);
        let input = SigInput {
            type_covered: set[0].record_type(),
            algorithm: ALGORITHM,
            num_labels: name.num_labels(),
            original_ttl: *ttl,
            sig_expiration: serial(hour + AFTER),
            sig_inception: serial(hour.saturating_sub(BEFORE)),
            key_tag: key.tag,
            signer_name: self.origin.clone(),
        };
        let bytes = TBS::from_input(name, DNSClass::IN, &input, set.iter()).ok()?;
        let signature = RRSIG::from_sig(input, self.made_of(&bytes, key, hour)?);
        let data = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        Some(Record::from_rdata(name.clone(), *ttl, data))
    }

    fn made_of(&self, bytes: &TBS, key: &SigningKey, hour: u64) -> Option<Vec<u8>> {
        // A panic of another thread leaves whole signatures or none.
        let lock = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = lock().signatures.get(bytes.as_ref()) {
            return Some(made.clone());
        }
        let signature = key.sign(bytes)?;
        let mut made = lock();
        if made.hour != hour || made.signatures.len() >= Made::MOST {
            *made = Made { hour, ..Made::default() };
        }
        made.signatures.insert(bytes.as_ref().to_vec(), signature.clone());
        Some(signature)
    }
}
