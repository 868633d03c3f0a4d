//! Zones, looked up by name.

use super::denial::Denial;
use super::keys::SigningKey;
use super::sign::Signer;
use crate::dns::{DnsError, host, note_name};
use hickory_proto::rr::{LowerName, Name};
use mainstay_core::estate::{DnsKind, Estate, Policy, PublishedName};
use mainstay_core::{ApplicationName, SiteName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Of what only changes with the configuration.
pub const STEADY_TTL: u32 = 3600;
/// How long a resolver may keep that there is nothing (RFC 2308, RFC 9077).
pub const NOTHING_TTL: u32 = 30;

/// A name of an application.
#[derive(Debug)]
pub struct Published {
    pub application: ApplicationName,
    pub ttl: Duration,
    pub addresses: BTreeMap<SiteName, Vec<IpAddr>>,
    pub policy: Policy,
}

/// What stands at a name.
#[derive(Debug, Clone)]
pub enum Owner {
    /// Nothing but names below it (RFC 8020).
    Between,
    /// A server of the zone.
    Server(Vec<IpAddr>),
    Published(Arc<Published>),
    /// The note beside a published name.
    Note(Arc<Published>),
}

#[derive(Debug)]
pub struct Zone {
    pub origin: LowerName,
    /// Where mail about the zone goes, as SOA records write it (RFC 1035, section 3.3.13).
    pub contact: Name,
    /// In the same order at every site; the first stands in the SOA record.
    pub servers: Vec<(Name, Vec<IpAddr>)>,
    pub owners: HashMap<LowerName, Owner>,
    /// Whose names stand in it.
    pub applications: BTreeSet<ApplicationName>,
    /// None: not signed.
    pub signing: Option<Signing>,
}

/// What a signed zone has besides.
#[derive(Debug)]
pub struct Signing {
    pub signer: Signer,
    pub denial: Denial,
}

#[derive(Debug, Default)]
pub struct Zones(Vec<Zone>);

impl Zones {
    /// The innermost zone that the name stands in.
    pub fn find(&self, name: &LowerName) -> Option<&Zone> {
        let around = self.0.iter().filter(|zone| zone.origin.zone_of(name));
        around.max_by_key(|zone| zone.origin.num_labels())
    }

    /// Those that the estate has Mainstay itself answer for.
    pub fn of(estate: &Estate) -> Result<Self, DnsError> {
        let mut zones = Vec::new();
        for zone in estate.dns.values() {
            let DnsKind::Own { contact, at, signing_keys } = &zone.kind else { continue };
            let mut built = Zone {
                origin: LowerName::from(host(&zone.zone)?),
                contact: host(contact)?,
                servers: Vec::new(),
                owners: HashMap::new(),
                applications: BTreeSet::new(),
                signing: None,
            };
            for server in at.values() {
                let name = host(&server.name)?;
                let addresses = each_once(&server.addresses);
                built.put(&name, Owner::Server(addresses.clone()));
                built.servers.push((name, addresses));
            }
            built.put(&host(&zone.zone)?, Owner::Between);
            built.publish(estate, &zone.zone)?;
            built.sign_with(readable(&zone.zone, signing_keys));
            zones.push(built);
        }
        Ok(Self(zones))
    }
}

impl Zone {
    fn publish(&mut self, estate: &Estate, zone: &str) -> Result<(), DnsError> {
        for application in estate.applications.values() {
            let names = application.names.iter().filter(|(_, published)| published.zone == zone);
            for (name, published) in names {
                let PublishedName { ttl, mut addresses, policy, .. } = published.clone();
                addresses.values_mut().for_each(|list| *list = each_once(list));
                let application = application.name.clone();
                self.applications.insert(application.clone());
                let published = Arc::new(Published { application, ttl, addresses, policy });
                self.put(&host(name)?, Owner::Published(published.clone()));
                self.put(&note_name(name)?, Owner::Note(published));
            }
        }
        Ok(())
    }

    fn sign_with(&mut self, mut keys: Vec<SigningKey>) {
        // Two copies of one key are one.
        keys.dedup_by(|one, other| one.public == other.public);
        if !keys.is_empty() {
            let (signer, denial) = (Signer::new(&self.origin, keys), Denial::of(self));
            self.signing = Some(Signing { signer, denial });
        }
    }

    fn put(&mut self, name: &Name, owner: Owner) {
        let mut above = name.base_name();
        while self.origin.zone_of(&LowerName::from(&above)) {
            self.owners.entry(LowerName::from(&above)).or_insert(Owner::Between);
            above = above.base_name();
        }
        let own = LowerName::from(name);
        // A server may be called something outside the zone: then others have its address.
        if self.origin.zone_of(&own) {
            match (self.owners.get(&own), &owner) {
                (Some(Owner::Server(_) | Owner::Published(_)), Owner::Between) => {}
                _ => drop(self.owners.insert(own, owner)),
            }
        }
    }
}

/// The same record twice would be one that no signature fits (RFC 4034, section 6.3).
fn each_once(list: &[IpAddr]) -> Vec<IpAddr> {
    let mut seen = BTreeSet::new();
    list.iter().copied().filter(|address| seen.insert(*address)).collect()
}

/// A key that cannot be used ends nothing: who does not validate is answered as ever, and who does
/// asks the other site's server.
fn readable(zone: &str, paths: &[PathBuf]) -> Vec<SigningKey> {
    let read = paths.iter().map(|path| SigningKey::read(path, zone));
    let told = read.filter_map(|key| {
        key.inspect_err(|why| tracing::error!(code = "MS-DNS-012", zone, %why, "a zone is not signed with all its keys")).ok()
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::server::answer::{Answered, Asked, Room, answer};
    use crate::dns::server::known::Known;
    use hickory_proto::op::{Message, ResponseCode};
    use hickory_proto::rr::RecordType;
    use proptest::prelude::*;
    use std::str::FromStr;
    use std::sync::OnceLock;

    /// One signed zone, of names that need to be told nothing.
    fn signed() -> &'static Zones {
        static ZONES: OnceLock<Zones> = OnceLock::new();
        ZONES.get_or_init(|| {
            let name = |text: &str| Name::from_str(text).unwrap();
            let mut zone = Zone {
                origin: name("example.org.").into(),
                contact: name("hostmaster.example.org."),
                servers: vec![(name("ns1.example.org."), vec![IpAddr::from([192, 0, 2, 53])])],
                owners: HashMap::new(),
                applications: BTreeSet::new(),
                signing: None,
            };
            zone.put(&name("example.org."), Owner::Between);
            let server = Owner::Server(vec![IpAddr::from([192, 0, 2, 53])]);
            zone.put(&name("ns1.example.org."), server.clone());
            zone.put(&name("deep.er.example.org."), server);
            let folder = tempfile::tempdir().unwrap();
            let key = SigningKey::create(&folder.path().join("key"), "example.org").unwrap();
            zone.sign_with(vec![key]);
            Zones(vec![zone])
        })
    }

    fn asked(bytes: &[u8], room: Room) -> Option<Answered> {
        let from = IpAddr::from([192, 0, 2, 1]);
        let now = 1_800_000_000;
        answer(signed(), &Known::default(), &Asked { bytes, from, room, chance: 0, now })
    }

    /// With EDNS and the DO bit.
    fn question(labels: &[Vec<u8>], kind: u16) -> Vec<u8> {
        let mut bytes = b"\x01\x02\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label);
        }
        bytes.extend(b"\x07example\x03org\0");
        bytes.extend(kind.to_be_bytes());
        bytes.extend(b"\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0");
        bytes
    }

    proptest! {
        #[test]
        fn whatever_is_asked_of_a_signed_zone_fits_into_a_packet_and_is_signed_or_refused(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6),
            kind: u16,
        ) {
            let answered = asked(&question(&labels, kind), Room::Udp).unwrap();
            prop_assert!(answered.bytes.len() <= 1232);
            let message = Message::from_vec(&answered.bytes).unwrap();
            let good = matches!(message.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
            let signatures = message.all_sections().filter(|it| it.record_type() == RecordType::RRSIG);
            prop_assert!(!good || signatures.count() > 0, "{message}");
        }

        #[test]
        fn a_signed_question_with_bytes_changed_gets_an_answer_or_none(
            changes in prop::collection::vec((0_usize..60, any::<u8>()), 1..4)
        ) {
            let mut bytes = question(&[b"ns1".to_vec()], 1);
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[at % length] = byte;
            }
            for room in [Room::Udp, Room::Tcp, Room::None] {
                if let Some(answered) = asked(&bytes, room) {
                    prop_assert!(answered.bytes.len() <= 1232);
                }
            }
        }
    }
}
