//! Cloudflare (API v4). Each record has an id of its own, and a batch is made as a whole or not at
//! all. A change deletes the note that was seen and posts another one, so that the batch of whoever
//! comes second names a record that is gone, and is refused.
//!
//! Where no note stands yet there is nothing to name: two first publications at the same moment both
//! succeed. Then the note of the newest epoch counts, and whoever wrote it removes the others.

use super::Provider;
use super::http::{Api, Reply};
use crate::dns::{Answer, DnsError, Note, Wanted, note};
use bytes::Bytes;
use http::Method;
use mainstay_core::Secret;
use mainstay_core::estate::Cloudflare as Spec;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::IpAddr;
use tokio::sync::OnceCell;

const API: &str = "Cloudflare";
const PAGE: u32 = 100;
/// A name with more records than so many pages is not ours.
const PAGES: u32 = 10;
/// "Record does not exist", and the two of one that exists already.
const CHANGED: [u32; 3] = [81044, 81057, 81058];
/// Of a message, what people are shown.
const LONGEST_MESSAGE: usize = 300;

pub(super) struct Cloudflare {
    zone: String,
    api: Api,
    token: Option<Secret>,
    id: OnceCell<String>,
}

#[derive(Debug, Deserialize)]
struct Envelope<T> {
    result: Option<T>,
    #[serde(default)]
    errors: Vec<Error>,
    result_info: Option<Info>,
}

#[derive(Debug, Deserialize)]
struct Error {
    code: u32,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Info {
    total_pages: u32,
}

#[derive(Debug, Deserialize)]
struct Zone {
    id: String,
    #[serde(default)]
    name_servers: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Record {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    content: String,
    ttl: u32,
    #[serde(default)]
    proxied: bool,
}

impl Cloudflare {
    pub fn new(zone: &str, spec: &Spec) -> Self {
        Self {
            zone: zone.to_owned(),
            api: Api::new(API, &spec.endpoint),
            token: spec.token.clone(),
            id: OnceCell::new_with(spec.zone_id.clone()),
        }
    }

    async fn id(&self) -> Result<&str, DnsError> {
        self.id.get_or_try_init(|| self.find()).await.map(String::as_str)
    }

    async fn find(&self) -> Result<String, DnsError> {
        let path = format!("/zones?name={}", self.zone);
        let found = self.ask::<Vec<Zone>>(Method::GET, &path, None, "the list of zones").await?;
        match found.result.unwrap_or_default().into_iter().next() {
            Some(zone) => Ok(zone.id),
            None => Err(self.no_zone("the token sees no zone of that name")),
        }
    }

    fn no_zone(&self, why: &str) -> DnsError {
        DnsError::NoZone { api: API, zone: self.zone.clone(), why: why.to_owned() }
    }

    async fn list(&self, name: &str) -> Result<Vec<Record>, DnsError> {
        let records = format!("/zones/{}/dns_records", self.id().await?);
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let path = format!("{records}?name.exact={name}&per_page={PAGE}&page={page}");
            let what = format!("the records of {name}");
            let read = self.ask::<Vec<Record>>(Method::GET, &path, None, &what).await?;
            found.extend(read.result.unwrap_or_default());
            if read.result_info.is_none_or(|info| page >= info.total_pages) {
                return Ok(found);
            }
        }
        Err(self.api.unreadable(format!("{name} has more than {PAGES} pages of records")))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        what: &str,
    ) -> Result<Envelope<T>, DnsError> {
        let token = self.token.as_ref().ok_or_else(|| credentials("its token is not here"))?;
        let request = self
            .api
            .request(method, path)
            .header(http::header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
            // Not with the cause: it may show the token.
            .map_err(|_| credentials("its token cannot stand in a request"))?;
        let reply = self.api.send(request).await?;
        let read: Result<Envelope<T>, _> = serde_json::from_slice(&reply.body);
        match read {
            Ok(read) if reply.status.is_success() => {
                self.api.content();
                Ok(read)
            }
            Ok(read) => Err(refused(&read.errors, &reply, what)),
            Err(why) => Err(self.api.unreadable(format!("{}: {why}", reply.status))),
        }
    }
}

fn refused(errors: &[Error], reply: &Reply, what: &str) -> DnsError {
    let said = errors.iter().map(|error| format!("{} {}", error.code, error.message));
    let why: String = said.collect::<Vec<_>>().join("; ").chars().take(LONGEST_MESSAGE).collect();
    let why = format!("{}: {why}", reply.status);
    match reply.status.is_server_error() {
        true => DnsError::ApiSilent { api: API, why },
        false if errors.iter().any(|error| CHANGED.contains(&error.code)) => {
            DnsError::Contended { name: what.to_owned() }
        }
        false => DnsError::ApiRefused { api: API, what: what.to_owned(), why },
    }
}

fn credentials(why: &str) -> DnsError {
    DnsError::Credentials { api: API, why: why.to_owned() }
}

impl Provider for Cloudflare {
    /// Every record that a change replaces.
    type Standing = Vec<Record>;

    fn place(&self) -> String {
        format!("the API of {API}")
    }

    async fn standing(&self, name: &str) -> Result<(Answer, Vec<Record>), DnsError> {
        let mut records = self.list(name).await?;
        records.retain(|record| ["A", "AAAA", "CNAME"].contains(&record.kind.as_str()));
        let mut texts = self.list(&note::name(name)).await?;
        texts.retain(|record| record.kind == "TXT");
        let answer = Answer {
            signed: None,
            addresses: records.iter().filter_map(|it| it.content.parse::<IpAddr>().ok()).collect(),
            ttl: records.iter().map(|record| record.ttl).min(),
            note: newest(&self.place(), name, &texts)?,
        };
        records.extend(texts);
        Ok((answer, records))
    }

    /// One note, and nothing at the name but addresses that Cloudflare gives out as they are.
    fn is(&self, answer: &Answer, standing: &Vec<Record>, wanted: &Wanted) -> bool {
        answer.is(wanted)
            && standing.len() == wanted.addresses.len() + 1
            && standing.iter().all(|record| !record.proxied && record.kind != "CNAME")
    }

    async fn change(
        &self,
        wanted: &Wanted,
        _: &Answer,
        standing: &Vec<Record>,
    ) -> Result<(), DnsError> {
        if standing.iter().any(|record| record.proxied) {
            let why = "it is proxied there, so that clients never see these addresses".to_owned();
            return Err(DnsError::InTheWay { api: API, name: wanted.name.clone(), why });
        }
        let ttl = wanted.ttl.as_secs();
        let deletes: Vec<Value> =
            standing.iter().map(|record| json!({ "id": record.id })).collect();
        let mut posts = vec![json!({
            "type": "TXT", "name": note::name(&wanted.name), "ttl": ttl,
            "content": format!("\"{}\"", wanted.note),
        })];
        posts.extend(wanted.addresses.iter().map(|address| {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            json!({
                "type": kind, "name": wanted.name, "ttl": ttl, "content": address, "proxied": false,
            })
        }));
        let path = format!("/zones/{}/dns_records/batch", self.id().await?);
        let body = json!({ "deletes": deletes, "posts": posts });
        match self.ask::<Value>(Method::POST, &path, Some(body), &wanted.name).await {
            Err(DnsError::ApiRefused { api, what, why }) => {
                Err(DnsError::ApiRefused { api, what: format!("the change of {what}"), why })
            }
            done => done.map(drop),
        }
    }

    async fn servers(&self) -> Result<Vec<String>, DnsError> {
        let path = format!("/zones/{}", self.id().await?);
        let zone = self.ask::<Zone>(Method::GET, &path, None, "the zone's servers").await?;
        let names = zone.result.map(|zone| zone.name_servers).unwrap_or_default();
        match names.is_empty() {
            true => Err(DnsError::NoServer),
            false => Ok(names.iter().map(|name| format!("{name}:53")).collect()),
        }
    }
}

/// Of several notes that are all Mainstay's, the one of the newest epoch.
fn newest(server: &str, name: &str, texts: &[Record]) -> Result<Option<Note>, DnsError> {
    let mut newest: Option<Note> = None;
    for record in texts {
        let text = record.content.trim_matches('"');
        let note = Note::parse(text).ok_or_else(|| DnsError::Unreadable {
            name: note::name(name),
            server: server.to_owned(),
            text: text.to_owned(),
        })?;
        if newest.as_ref().is_none_or(|newest| newest.epoch < note.epoch) {
            newest = Some(note);
        }
    }
    Ok(newest)
}
