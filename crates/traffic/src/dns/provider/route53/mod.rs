//! Amazon Route 53 (API of 2013-04-01). A change is one batch, which is made as a whole or not at
//! all: it deletes what was seen, exactly as it was, note included, and creates what is wanted. It
//! is refused when anything of that is not so any more.

mod access;
mod sets;
mod signature;

use super::Provider;
use super::http::{Api, Reply};
use crate::dns::{Answer, DnsError, Wanted, note, the_note};
use access::Access;
use bytes::Bytes;
use http::{Method, StatusCode};
use mainstay_core::estate::Route53 as Spec;
use sets::{Set, batch};
use tokio::sync::OnceCell;

const API: &str = "Route 53";
const VERSION: &str = "/2013-04-01";
/// What of a name's sets is read: its pages, each of a hundred. A name with more is not ours.
const PAGES: usize = 10;

pub(super) struct Route53 {
    zone: String,
    region: String,
    api: Api,
    access: Access,
    id: OnceCell<String>,
}

/// The sets of records that a change replaces.
pub(super) struct Standing {
    /// Of the name: A, AAAA and CNAME.
    of_name: Vec<Set>,
    /// The note's.
    texts: Vec<Set>,
}

impl Route53 {
    pub fn new(zone: &str, spec: &Spec) -> Self {
        Self {
            zone: zone.to_owned(),
            region: spec.region.clone(),
            api: Api::new(API, &spec.endpoint),
            access: Access::new(&spec.access),
            id: OnceCell::new_with(spec.zone_id.clone()),
        }
    }

    async fn id(&self) -> Result<&str, DnsError> {
        self.id.get_or_try_init(|| self.find()).await.map(String::as_str)
    }

    /// Zones come in the order of their names, and begin with those of this one.
    async fn find(&self) -> Result<String, DnsError> {
        let path = format!("{VERSION}/hostedzonesbyname?dnsname={}&maxitems=100", self.zone);
        let reply = self.ask(Method::GET, &path, String::new(), "the list of zones").await?;
        let found = sets::zones(&reply, &self.zone).map_err(|why| self.api.unreadable(why))?;
        let none =
            |why: &str| DnsError::NoZone { api: API, zone: self.zone.clone(), why: why.to_owned() };
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(none("no public zone of that name; a private one takes `zone-id`")),
            _ => Err(none("there are several of that name: say which by `zone-id`")),
        }
    }

    /// The sets of that name, from that kind on.
    async fn list(&self, name: &str, kind: Option<&str>) -> Result<Vec<Set>, DnsError> {
        let rrset = format!("{VERSION}/hostedzone/{}/rrset", self.id().await?);
        let mut next = format!("name={name}");
        if let Some(kind) = kind {
            next += &format!("&type={kind}");
        }
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let path = format!("{rrset}?{next}&maxitems=100");
            let what = format!("the records of {name}");
            let reply = self.ask(Method::GET, &path, String::new(), &what).await?;
            let page = sets::page(&reply).map_err(|why| self.api.unreadable(why))?;
            let all = page.sets.len();
            found.extend(page.sets.into_iter().filter(|set| set.is_of(name)));
            match page.next {
                Some(more) if all > 0 && more.is_of(name) => next = more.query(),
                _ => return Ok(found),
            }
        }
        Err(self.api.unreadable(format!("{name} has more than {PAGES} pages of records")))
    }

    /// The whole answer to a request that was granted.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: String,
        what: &str,
    ) -> Result<String, DnsError> {
        let request = self
            .api
            .request(method, path)
            .header(http::header::CONTENT_TYPE, "application/xml")
            .body(Bytes::from(body));
        let request = request.map_err(|why| self.api.unreadable(why))?;
        let signed = self.access.sign(request, &self.region).await?;
        let reply = self.api.send(signed).await?;
        if reply.status == StatusCode::OK {
            self.api.content();
            return Ok(reply.text().into_owned());
        }
        Err(self.refused(&reply, what))
    }

    fn refused(&self, reply: &Reply, what: &str) -> DnsError {
        let (code, message) = sets::error(&reply.text());
        let why = format!("{code}: {message}");
        match code.as_str() {
            "Throttling" | "ThrottlingException" | "PriorRequestNotComplete" => {
                self.api.hold_back(None)
            }
            "NoSuchHostedZone" => DnsError::NoZone { api: API, zone: self.zone.clone(), why },
            "ExpiredToken" | "ExpiredTokenException" => {
                self.access.forget();
                DnsError::ApiRefused { api: API, what: what.to_owned(), why }
            }
            _ if reply.status.is_server_error() => DnsError::ApiSilent { api: API, why },
            _ => DnsError::ApiRefused { api: API, what: what.to_owned(), why },
        }
    }
}

impl Provider for Route53 {
    type Standing = Standing;

    fn place(&self) -> String {
        format!("the API of {API}")
    }

    async fn standing(&self, name: &str) -> Result<(Answer, Standing), DnsError> {
        let mut of_name = self.list(name, None).await?;
        of_name.retain(Set::leads);
        let mut texts = self.list(&note::name(name), Some("TXT")).await?;
        texts.retain(|set| set.kind == "TXT");
        let said = texts.iter().flat_map(Set::texts).collect();
        let answer = Answer {
            signed: None,
            addresses: of_name.iter().flat_map(Set::addresses).collect(),
            ttl: of_name.iter().filter_map(|set| set.ttl).min(),
            note: the_note(&self.place(), name, said)?,
        };
        Ok((answer, Standing { of_name, texts }))
    }

    fn is(&self, answer: &Answer, standing: &Standing, wanted: &Wanted) -> bool {
        let wants = Set::wanted(wanted);
        let all = wants.iter().all(|want| standing.of_name.iter().any(|set| set.same(want)));
        all && wants.len() == standing.of_name.len() && answer.note.as_ref() == Some(&wanted.note)
    }

    async fn change(
        &self,
        wanted: &Wanted,
        _: &Answer,
        standing: &Standing,
    ) -> Result<(), DnsError> {
        let old = standing.texts.iter().chain(&standing.of_name);
        let mut new = vec![Set::note(wanted)];
        new.extend(Set::wanted(wanted));
        let path = format!("{VERSION}/hostedzone/{}/rrset/", self.id().await?);
        let what = format!("the change of {}", wanted.name);
        match self.ask(Method::POST, &path, batch(old, &new), &what).await {
            Err(DnsError::ApiRefused { why, .. }) if sets::was_changed(&why) => {
                Err(DnsError::Contended { name: wanted.name.clone() })
            }
            done => done.map(drop),
        }
    }

    async fn servers(&self) -> Result<Vec<String>, DnsError> {
        let path = format!("{VERSION}/hostedzone/{}", self.id().await?);
        let reply = self.ask(Method::GET, &path, String::new(), "the zone's servers").await?;
        let servers = sets::servers(&reply).map_err(|why| self.api.unreadable(why))?;
        match servers.is_empty() {
            true => Err(DnsError::NoServer),
            false => Ok(servers),
        }
    }
}
