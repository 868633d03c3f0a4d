//! What is known of the application's names in DNS: what each server answers, and since when.

use crate::types::{AnswerView, NameView, ServerView, keys_in_words};
use mainstay_core::estate::{DnsZone, Policy, PublishedName};
use mainstay_core::{ApplicationName, Record, SiteName, Tick};
use mainstay_traffic::dns::{Answer, DnsError, Note, Share, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// While every server answers as wanted, they are looked at so often: for changes by others.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// While one does not: a server that comes back is told within this.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// Between a change and every server's answer lies at least a notification between them.
const USUAL: Duration = Duration::from_secs(10);

/// What a name should answer while this record stands.
pub fn wanted(
    application: &ApplicationName,
    name: &str,
    published: &PublishedName,
    record: &Record,
    zone: &DnsZone,
) -> Option<Wanted> {
    let note =
        Note { application: application.clone(), epoch: record.epoch, site: record.active.clone() };
    let any = published.policy != Policy::Failover || !published.health_checks.is_empty();
    let sites = published.addresses.iter();
    let answering = sites.filter(|(site, _)| any || **site == record.active);
    let addresses: BTreeSet<_> = answering.flat_map(|(_, list)| list).copied().collect();
    (!addresses.is_empty()).then(|| Wanted {
        name: name.to_owned(),
        ttl: published.ttl,
        addresses,
        any,
        shares: shares(published, record),
        note,
        signed: zone.signed(),
    })
}

/// Where answers are spread by weights, or by what Route 53 finds healthy by itself: then all is the
/// active site's share, and the others' is what is left when it is not healthy.
fn shares(published: &PublishedName, record: &Record) -> Vec<Share> {
    let weight = |site: &SiteName| match &published.policy {
        Policy::Weighted(weights) => {
            weights.get(site).map_or(0, |weight| u8::try_from(*weight).unwrap_or(u8::MAX))
        }
        _ => u8::from(*site == record.active),
    };
    if !matches!(published.policy, Policy::Weighted(_)) && published.health_checks.is_empty() {
        return Vec::new();
    }
    let one = |(site, addresses): (&SiteName, &Vec<_>)| Share {
        site: site.clone(),
        addresses: addresses.iter().copied().collect(),
        weight: weight(site),
        health_check: published.health_checks.get(site).cloned(),
    };
    published.addresses.iter().map(one).collect()
}

/// One name, as this site's agent sees it.
#[derive(Debug, Default)]
pub struct KnownName {
    wanted: Option<Wanted>,
    /// When that began to be wanted.
    since: Tick,
    looked: Option<Tick>,
    /// Every server answered as wanted, for the first time since then.
    moved: Option<Duration>,
    all_right: bool,
    /// Why the last change was not made.
    refused: Option<DnsError>,
    servers: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    answer: Result<Answer, DnsError>,
    since_micros: i64,
}

/// What a look changed, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Every server answers as wanted, so long after that began to be wanted.
    AllRight(Duration),
    Wrong,
}

impl KnownName {
    /// Takes in what is wanted now; whether it is time to look, and to change what differs.
    pub fn is_due(&mut self, wanted: &Wanted, now: Tick) -> bool {
        if self.wanted.as_ref() != Some(wanted) {
            *self =
                Self { since: now, servers: std::mem::take(&mut self.servers), ..Self::default() };
            self.wanted = Some(wanted.clone());
        }
        let pause = if self.all_right { LOOK_AGAIN } else { TRY_AGAIN };
        self.looked.is_none_or(|at| now.since(at) >= pause)
    }

    /// Takes in what the servers answered, and why the change before was refused.
    pub fn take(
        &mut self,
        of: &Wanted,
        answers: Vec<(String, Result<Answer, DnsError>)>,
        refused: Option<DnsError>,
        (now, micros): (Tick, i64),
    ) -> Option<Turn> {
        if self.wanted.as_ref() != Some(of) {
            return None;
        }
        self.looked = Some(now);
        self.refused = refused;
        self.servers.retain(|server, _| answers.iter().any(|(answering, _)| answering == server));
        for (server, answer) in answers {
            let before = self.servers.get(&server).filter(|seen| same(&seen.answer, &answer));
            let since_micros = before.map_or(micros, |seen| seen.since_micros);
            self.servers.insert(server, Seen { answer, since_micros });
        }
        let each = self.servers.values().all(|seen| is_right(&seen.answer, of));
        let right = each && self.disagreement(of).is_none();
        let before = std::mem::replace(&mut self.all_right, right);
        let took = now.since(self.since);
        match (before, right) {
            (false, true) => {
                self.moved = self.moved.or(Some(took));
                Some(Turn::AllRight(took))
            }
            (true, false) => Some(Turn::Wrong),
            _ => None,
        }
    }

    pub fn is_right(&self) -> bool {
        self.all_right
    }

    pub fn view(&self, name: &str) -> Option<NameView> {
        let wanted = self.wanted.as_ref()?;
        let servers = self.servers.iter().map(|(server, seen)| ServerView {
            server: server.clone(),
            right: is_right(&seen.answer, wanted),
            answer: AnswerView::of(&seen.answer),
            since_micros: Some(seen.since_micros),
        });
        Some(NameView {
            name: name.to_owned(),
            site: wanted.note.site.clone(),
            epoch: wanted.note.epoch,
            addresses: wanted.addresses.iter().copied().collect(),
            right: self.all_right,
            moved_s: self.moved.map(|moved| moved.as_secs_f64()),
            servers: servers.collect(),
        })
    }

    /// Two servers that sign with no key in common: resolvers that know the keys of one refuse what
    /// the other says.
    fn disagreement(&self, wanted: &Wanted) -> Option<(String, String)> {
        if !wanted.signed {
            return None;
        }
        let keys = |seen: &Seen| Some(seen.answer.as_ref().ok()?.signed.as_ref()?.keys.clone());
        let mut signing = self.servers.iter().filter_map(|(name, seen)| Some((name, keys(seen)?)));
        let (first, of_first) = signing.next()?;
        let (other, of_other) = signing.find(|(_, keys)| keys.is_disjoint(&of_first))?;
        let what = format!(
            "MS-DNS-013: {} is signed with {} at {first} and with {} at {other}",
            wanted.name,
            keys_in_words(&of_first),
            keys_in_words(&of_other)
        );
        Some((what, "copy the zone's key from one site to the other, and restart its gate".into()))
    }

    /// What keeps the name from answering as wanted, once that has lasted longer than it may.
    pub fn problem(&self, name: &str, now: Tick) -> Option<(String, String)> {
        let wanted = self.wanted.as_ref()?;
        if self.all_right || self.looked.is_none() || now.since(self.since) < USUAL {
            return None;
        }
        if let Some(refused) = &self.refused {
            return Some((refused.to_string(), advice(refused, name)));
        }
        let wrong = self.servers.iter().find(|(_, seen)| !is_right(&seen.answer, wanted));
        let Some((server, seen)) = wrong else { return self.disagreement(wanted) };
        Some(match &seen.answer {
            Err(why) => (why.to_string(), advice(why, name)),
            Ok(answer) if !answer.is_signed_as(wanted) => unsigned(name, server, answer),
            Ok(answer) => {
                let says = AnswerView::words(answer);
                let site = &wanted.note.site;
                let what = format!("{name} does not lead to {site} at {server}: it answers {says}");
                (what, "it is tried again by itself; look at that server's own log".to_owned())
            }
        })
    }
}

fn same(one: &Result<Answer, DnsError>, other: &Result<Answer, DnsError>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.same_as(other),
        _ => one == other,
    }
}

fn unsigned(name: &str, server: &str, answer: &Answer) -> (String, String) {
    match &answer.signed {
        None => (
            format!("MS-DNS-013: {name} is not signed at {server}, and should be"),
            "look for MS-DNS-012 in the log of the gate there, mend its key, and restart it".into(),
        ),
        Some(_) => (
            format!("MS-DNS-013: the signatures of {name} at {server} do not hold now"),
            "compare the clocks of both machines (timedatectl)".into(),
        ),
    }
}

pub fn is_right(answer: &Result<Answer, DnsError>, wanted: &Wanted) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.is(wanted))
}

fn advice(why: &DnsError, name: &str) -> String {
    match why {
        DnsError::Stale { .. } => format!(
            "nothing, if another site has taken over; if these sites were set up anew, delete the \
             TXT record _mainstay.{name} by hand (MS-DNS-003)"
        ),
        DnsError::Foreign { .. } | DnsError::Unreadable { .. } => format!(
            "if the name is to follow this application, delete the TXT record _mainstay.{name} by \
             hand"
        ),
        DnsError::Refused { .. } | DnsError::Key { .. } => {
            "compare the zone's key under [dns] with the server's own, and what it may change; \
             clients reach the active site through every gate meanwhile"
                .to_owned()
        }
        DnsError::ApiRefused { .. } | DnsError::NoZone { .. } | DnsError::Credentials { .. } => {
            "look at the zone under [dns], and at what its key may do at the provider; clients \
             reach the active site through every gate meanwhile"
                .to_owned()
        }
        DnsError::InTheWay { .. } => {
            "make the name's records there DNS only, or take the name out of the configuration"
                .to_owned()
        }
        _ => "it is tried again by itself; clients reach the active site through every gate \
              meanwhile"
            .to_owned(),
    }
}
