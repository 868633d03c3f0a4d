//! The application's names in DNS, for people.

use super::agent::Agent;
use crate::error::Refused;
use crate::names::{is_right, wanted};
use crate::time::unix_micros;
use mainstay_core::{ApplicationName, Epoch, SiteName};
use mainstay_traffic::dns::{Answer, DnsError, look};
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
    fn same_as(&self, other: &Self) -> bool {
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

pub async fn trace(agent: &Agent, query: &TraceQuery) -> Result<Trace, Refused> {
    let name = query.name.trim_end_matches('.').to_ascii_lowercase();
    let mut applications = agent.applications.values();
    let application = applications
        .find(|application| application.spec.names.contains_key(&name))
        .ok_or_else(|| unknown(agent, &name))?;
    let published = &application.spec.names[&name];
    let record = application.known().facts.record.as_ref().map(|seen| seen.record.clone());
    let Some(zone) = application.context.estate.dns.get(&published.zone) else {
        return Err(unknown(agent, &name));
    };
    let of = record.and_then(|it| wanted(&application.spec.name, &name, published, &it, zone));
    let of = of.ok_or_else(|| {
        Refused::new(
            "MS-AGENT-014",
            "the coordinator has not told yet which site is active".to_owned(),
            "try again, or look at `mainstay status`",
        )
    })?;
    let Some(publisher) = application.context.dns.get(&published.zone) else {
        return Err(unknown(agent, &name));
    };
    let known = application.known().names.get(&name).and_then(|known| known.view(&name));
    let since = |server: &str, answer: &AnswerView| {
        let seen = known.as_ref()?.servers.iter().find(|seen| seen.server == server)?;
        seen.since_micros.filter(|_| seen.answer.same_as(answer))
    };
    let shown = |server: String, answer: &Result<Answer, DnsError>, right: bool| {
        let answer = AnswerView::of(answer);
        let since_micros = since(&server, &answer);
        ServerView { server, right, answer, since_micros }
    };
    let answers = publisher.answers(&name).await.into_iter();
    let servers: Vec<ServerView> =
        answers.map(|(server, answer)| shown(server, &answer, is_right(&answer, &of))).collect();
    let mut resolvers = Vec::new();
    for resolver in &publisher.zone().resolvers {
        let answer = look(resolver, &name).await;
        let right = answer.as_ref().is_ok_and(|answer| answer.leads_as(&of));
        resolvers.push(shown(resolver.clone(), &answer, right));
    }
    let name = NameView {
        name,
        site: of.note.site.clone(),
        epoch: of.note.epoch,
        addresses: of.addresses.iter().copied().collect(),
        right: servers.iter().all(|server| server.right),
        moved_s: known.and_then(|known| known.moved_s),
        servers,
    };
    let application = application.spec.name.clone();
    Ok(Trace { application, name, resolvers, now_micros: unix_micros() })
}

fn unknown(agent: &Agent, name: &str) -> Refused {
    let names: Vec<&str> = agent
        .applications
        .values()
        .flat_map(|application| application.spec.names.keys().map(String::as_str))
        .collect();
    let advice = match names.is_empty() {
        true => "no application of this file has a name: add [applications.<application>.names]"
            .to_owned(),
        false => format!("names of this file: {}", names.join(", ")),
    };
    Refused::new("MS-DNS-009", format!("{name:?} is not a published name"), advice)
}
