//! What an answer says: the records of a name, or that there is none, and their signatures.

use super::answer::Draft;
use super::known::{Active, Known};
use super::policy;
use super::zone::{NOTHING_TTL, Owner, Published, STEADY_TTL, Signing, Zone, Zones};
use crate::dns::Note;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, HINFO, NS, SOA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use mainstay_core::estate::Policy;
use std::net::IpAddr;

impl Draft<'_> {
    pub fn fill(&mut self, zones: &Zones, known: &Known, query: &Query) -> ResponseCode {
        let name = LowerName::from(&query.name);
        let Some(zone) = zones.find(&name) else { return ResponseCode::Refused };
        let code = match zone.owners.get(&name) {
            None => ResponseCode::NXDomain,
            Some(owner) => self.stand_at(zone, known, owner, query),
        };
        if code == ResponseCode::ServFail {
            return code;
        }
        self.message.metadata.authoritative = true;
        if self.message.answers.is_empty() {
            let soa = RData::SOA(soa(zone, known));
            let origin = Name::from(&zone.origin);
            self.message.add_authority(Record::from_rdata(origin, NOTHING_TTL, soa));
        }
        match zone.signing.as_ref().filter(|_| self.signed) {
            Some(signing) => self.sign(zone, signing, (&name, query.query_type), code),
            None => code,
        }
    }

    /// Proves what there is not, and signs all. A resolver that gets SERVFAIL asks another server.
    fn sign(
        &mut self,
        zone: &Zone,
        signing: &Signing,
        (name, kind): (&LowerName, RecordType),
        code: ResponseCode,
    ) -> ResponseCode {
        let message = &mut self.message;
        if message.answers.is_empty() {
            let denial = &signing.denial;
            let proof = match code {
                ResponseCode::NXDomain => {
                    denial.no_name(name, |name| zone.owners.contains_key(name))
                }
                _ => denial.no_kind(name, kind).into_iter().collect(),
            };
            message.add_authorities(proof);
        }
        let now = self.asked.now;
        let all = [&mut message.answers, &mut message.authorities, &mut message.additionals]
            .into_iter()
            .try_for_each(|section| signing.signer.sign(section, now));
        if all.is_none() {
            message.answers.clear();
            message.authorities.clear();
            message.additionals.clear();
            message.metadata.authoritative = false;
            return ResponseCode::ServFail;
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
        let own = LowerName::from(name);
        match (query.query_type, zone.origin == own) {
            // Nothing stands here but names below it.
            (_, false) if matches!(owner, Owner::Between) => {}
            // Not what all there is, only that there is something (RFC 8482).
            (RecordType::ANY, _) => {
                let hinfo = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
                self.add(name, STEADY_TTL, hinfo);
            }
            (RecordType::SOA, true) => self.add(name, STEADY_TTL, RData::SOA(soa(zone, known))),
            (RecordType::NS, true) => self.servers(zone, name),
            (_, apex) => match &zone.signing {
                Some(signing) if self.of_signing(signing, query, apex) => {}
                _ => return self.owned(known, owner, query),
            },
        }
        ResponseCode::NoError
    }

    /// Whether the question is for what only a signed zone has.
    fn of_signing(&mut self, signing: &Signing, query: &Query, apex: bool) -> bool {
        let name = &query.name;
        match query.query_type {
            RecordType::DNSKEY if apex => {
                for key in signing.signer.public() {
                    self.add(name, STEADY_TTL, key);
                }
            }
            RecordType::NSEC => {
                let record = signing.denial.at(&LowerName::from(name));
                self.message.answers.extend(record);
            }
            // Not every signature, only one, as with ANY.
            RecordType::RRSIG => {
                let mut section: Vec<Record> =
                    signing.denial.at(&LowerName::from(name)).into_iter().collect();
                if signing.signer.sign(&mut section, self.asked.now).is_some() {
                    section.retain(|record| record.record_type() == RecordType::RRSIG);
                    self.message.answers.extend(section);
                }
            }
            _ => return false,
        }
        true
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
