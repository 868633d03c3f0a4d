//! Proof that there is nothing: the zone's names in their order, each with the next one and what
//! stands there (NSEC, RFC 4034, section 4). They are those of the configuration, so the chain is
//! made once. Anybody can read it from end to end; nobody can have a signature made for each name
//! that they invent.

use super::zone::{NOTHING_TTL, Owner, Zone};
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug)]
pub struct Denial {
    origin: LowerName,
    chain: BTreeMap<LowerName, Link>,
}

#[derive(Debug)]
struct Link {
    next: Name,
    kinds: Vec<RecordType>,
}

impl Denial {
    pub fn of(zone: &Zone) -> Self {
        let apex = [RecordType::NS, RecordType::SOA, RecordType::DNSKEY];
        let mut names: BTreeMap<LowerName, Vec<RecordType>> = BTreeMap::new();
        names.insert(zone.origin.clone(), apex.to_vec());
        for (name, owner) in &zone.owners {
            let kinds = kinds(owner);
            if !kinds.is_empty() {
                names.entry(name.clone()).or_default().extend(kinds);
            }
        }
        let order: Vec<LowerName> = names.keys().cloned().collect();
        // The last one's next is the first, the zone's own name.
        let next = order.iter().cycle().skip(1).map(Name::from);
        let links = names.into_iter().zip(next);
        let chain = links.map(|((name, kinds), next)| (name, Link { next, kinds })).collect();
        Self { origin: zone.origin.clone(), chain }
    }

    /// What stands at this name. None where nothing does, also where names stand below it.
    pub fn at(&self, name: &LowerName) -> Option<Record> {
        let link = self.chain.get(name)?;
        Some(record(name, link, &link.kinds))
    }

    /// Nothing of this kind is at that name, which is there. Which kinds a name has may depend on
    /// who asks and on which site is active: all that it ever has, but for this one.
    pub fn no_kind(&self, name: &LowerName, kind: RecordType) -> Option<Record> {
        match self.chain.get(name) {
            Some(link) => {
                let others: Vec<_> = link.kinds.iter().copied().filter(|it| *it != kind).collect();
                Some(record(name, link, &others))
            }
            // Only names below it: the one before says so, whose next name is one of them.
            None => self.around(name),
        }
    }

    /// There is no such name, and no wildcard that would answer in its place (RFC 4035, section
    /// 3.1.3.2). `exists`: whether a name is there.
    pub fn no_name(&self, name: &LowerName, exists: impl Fn(&LowerName) -> bool) -> Vec<Record> {
        let mut encloser = name.base_name();
        while !exists(&encloser) && encloser != self.origin && !encloser.is_root() {
            encloser = encloser.base_name();
        }
        let wildcard = Name::from(&encloser).prepend_label("*").ok();
        let wildcard = wildcard.and_then(|it| self.around(&LowerName::from(it)));
        let mut proof: Vec<Record> = self.around(name).into_iter().collect();
        // One record may be both.
        proof.extend(wildcard.filter(|it| proof.first() != Some(it)));
        proof
    }

    /// The last name before this one.
    fn around(&self, name: &LowerName) -> Option<Record> {
        let (before, link) = self.chain.range(..=name).next_back()?;
        Some(record(before, link, &link.kinds))
    }
}

fn record(name: &LowerName, link: &Link, kinds: &[RecordType]) -> Record {
    let nsec = NSEC::new_cover_self(link.next.clone(), kinds.iter().copied());
    Record::from_rdata(Name::from(name), NOTHING_TTL, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
}

fn kinds(owner: &Owner) -> Vec<RecordType> {
    let of = |address: &IpAddr| match address {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    };
    match owner {
        Owner::Between => Vec::new(),
        Owner::Server(addresses) => addresses.iter().map(of).collect(),
        Owner::Published(published) => published.addresses.values().flatten().map(of).collect(),
        Owner::Note(_) => vec![RecordType::TXT],
    }
}
