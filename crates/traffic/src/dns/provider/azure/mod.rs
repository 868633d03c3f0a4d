//! Azure DNS (API of 2018-05-01). The records of one name and kind are a set with an etag, which is
//! another one after every change; a change that names an etag is refused when it is not so any
//! more. No request changes several sets: note, A and AAAA records are three, one after the other.
//!
//! The note is read last and written first. Whoever reads one that is not newer has read the sets of
//! addresses before any newer epoch wrote them, and every epoch writes them all: so once the newer
//! one has, their etags are others, and what an older one asks for is refused, however late it
//! comes. That they are all written takes two things:
//!
//! - Each has the note in its metadata, so that the same addresses of an earlier epoch differ.
//! - A set without addresses is empty and not deleted: one that is not there has no etag. Sets with
//!   addresses are written before it, so the name never answers with nothing.
//!
//! Whoever ends in the middle (a crash, an API that goes away) leaves the new note beside addresses
//! of before; whoever looks next, of this epoch or a newer one, writes what is missing. An older
//! epoch that looked before the new note stood may yet write a set that the newer one has not come
//! to: then the newer one is refused there, looks again, and puts it right.

mod access;
mod sets;

use super::Provider;
use super::http::{Api, Reply};
use crate::dns::{Answer, DnsError, Wanted, note, the_note};
use access::Access;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode, request};
use mainstay_core::estate::Azure as Spec;
use sets::{Kind, Set, error, relative};
use tokio::sync::OnceCell;

const API: &str = "Azure DNS";
const VERSION: &str = "2018-05-01";
/// Begins of what Azure says when not the set is missing but what it would stand in.
const AROUND: [&str; 3] = ["ParentResource", "ResourceGroup", "Subscription"];

pub(super) struct Azure {
    zone: String,
    /// `/subscriptions/…/dnsZones/ZONE`
    path: String,
    api: Api,
    access: Access,
    /// The zone's, known as soon as it was found.
    servers: OnceCell<Vec<String>>,
}

/// What a change replaces; none: there is no such set yet.
pub(super) struct Standing {
    a: Option<Set>,
    aaaa: Option<Set>,
    note: Option<Set>,
    cname: bool,
}

impl Standing {
    fn of(&self, kind: Kind) -> Option<&Set> {
        match kind {
            Kind::A => self.a.as_ref(),
            Kind::Aaaa => self.aaaa.as_ref(),
            Kind::Txt => self.note.as_ref(),
        }
    }

    fn is(&self, kind: Kind, wanted: &Wanted) -> bool {
        self.of(kind).is_some_and(|set| set.is(kind, wanted))
    }
}

impl Azure {
    pub fn new(zone: &str, spec: &Spec) -> Self {
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/dnsZones/{zone}",
            spec.subscription, spec.resource_group
        );
        Self {
            zone: zone.to_owned(),
            path,
            api: Api::new(API, &spec.endpoint),
            access: Access::new(spec),
            servers: OnceCell::new(),
        }
    }

    /// That there is such a zone, too: what else is not found is then a set of it.
    async fn zone(&self) -> Result<&[String], DnsError> {
        let find = async || {
            let reply = self.send(self.request(Method::GET, ""), Bytes::new()).await?;
            if !reply.status.is_success() {
                return Err(self.refused(&reply, &self.zone, "the zone"));
            }
            self.api.content();
            sets::servers(&reply.body).map_err(|why| self.api.unreadable(why))
        };
        self.servers.get_or_try_init(find).await.map(Vec::as_slice)
    }

    fn at(&self, kind: &str, name: &str) -> String {
        format!("/{kind}/{}", relative(name, &self.zone))
    }

    async fn set(&self, kind: &str, name: &str) -> Result<Option<Set>, DnsError> {
        let request = self.request(Method::GET, &self.at(kind, name));
        let reply = self.send(request, Bytes::new()).await?;
        if reply.status.is_success() {
            self.api.content();
            return Set::parse(&reply.body).map(Some).map_err(|why| self.api.unreadable(why));
        }
        let (code, _) = error(&reply);
        let around = AROUND.iter().any(|begin| code.starts_with(begin));
        match reply.status == StatusCode::NOT_FOUND && !around {
            true => Ok(None),
            false => Err(self.refused(&reply, name, &format!("the records of {name}"))),
        }
    }

    /// Only over the set that was seen, or where none was.
    async fn put(&self, kind: Kind, wanted: &Wanted, over: Option<&Set>) -> Result<(), DnsError> {
        let path = self.at(kind.word(), &kind.name(wanted));
        let (condition, etag): (HeaderName, &str) = match over {
            Some(set) => (IF_MATCH, set.etag.as_str()),
            None => (IF_NONE_MATCH, "*"),
        };
        let request = self.request(Method::PUT, &path).header(condition, etag);
        let request = request.header(CONTENT_TYPE, "application/json");
        let body = Bytes::from(sets::wanted(kind, wanted, over).to_string());
        let reply = self.send(request, body).await?;
        if !reply.status.is_success() {
            let what = format!("the change of {}", wanted.name);
            return Err(self.refused(&reply, &wanted.name, &what));
        }
        self.api.content();
        Ok(())
    }

    fn request(&self, method: Method, rest: &str) -> request::Builder {
        self.api.request(method, &format!("{}{rest}?api-version={VERSION}", self.path))
    }

    async fn send(&self, request: request::Builder, body: Bytes) -> Result<Reply, DnsError> {
        let request = self.access.show(request).await?;
        // Not with the cause: it may show the token.
        let request = request.body(body).map_err(|_| access::missing("its token is no text"))?;
        self.api.send(request).await
    }

    fn refused(&self, reply: &Reply, name: &str, what: &str) -> DnsError {
        let (code, message) = error(reply);
        let why = format!("{}: {code}: {message}", reply.status);
        match reply.status {
            StatusCode::PRECONDITION_FAILED => DnsError::Contended { name: name.to_owned() },
            StatusCode::NOT_FOUND => DnsError::NoZone { api: API, zone: self.zone.clone(), why },
            status if status.is_server_error() => DnsError::ApiSilent { api: API, why },
            status => {
                if status == StatusCode::UNAUTHORIZED {
                    self.access.forget();
                }
                DnsError::ApiRefused { api: API, what: what.to_owned(), why }
            }
        }
    }
}

impl Provider for Azure {
    type Standing = Standing;

    fn place(&self) -> String {
        format!("the API of {API}")
    }

    async fn standing(&self, name: &str) -> Result<(Answer, Standing), DnsError> {
        self.zone().await?;
        let a = self.set("A", name).await?;
        let aaaa = self.set("AAAA", name).await?;
        // It stands where no others do (RFC 1034, section 3.6.2).
        let cname = a.is_none() && aaaa.is_none() && self.set("CNAME", name).await?.is_some();
        let note = self.set("TXT", &note::name(name)).await?;
        let said = note.iter().flat_map(Set::texts).collect();
        let leads = || a.iter().chain(&aaaa);
        let answer = Answer {
            signed: None,
            addresses: leads().flat_map(Set::addresses).collect(),
            ttl: leads().filter(|set| set.addresses().next().is_some()).map(Set::ttl).min(),
            note: the_note(&self.place(), name, said)?,
        };
        Ok((answer, Standing { a, aaaa, note, cname }))
    }

    fn is(&self, _: &Answer, standing: &Standing, wanted: &Wanted) -> bool {
        [Kind::Txt, Kind::A, Kind::Aaaa].iter().all(|kind| standing.is(*kind, wanted))
    }

    async fn change(
        &self,
        wanted: &Wanted,
        _: &Answer,
        standing: &Standing,
    ) -> Result<(), DnsError> {
        if standing.cname {
            let why = "a CNAME record stands there, and between its end and the first address the \
                       name would answer with nothing"
                .to_owned();
            return Err(DnsError::InTheWay { api: API, name: wanted.name.clone(), why });
        }
        let v4 = wanted.addresses.iter().any(std::net::IpAddr::is_ipv4);
        let leads = if v4 { [Kind::A, Kind::Aaaa] } else { [Kind::Aaaa, Kind::A] };
        for kind in [Kind::Txt].into_iter().chain(leads) {
            if !standing.is(kind, wanted) {
                self.put(kind, wanted, standing.of(kind)).await?;
            }
        }
        Ok(())
    }

    async fn servers(&self) -> Result<Vec<String>, DnsError> {
        let names = self.zone().await?;
        match names.is_empty() {
            true => Err(DnsError::NoServer),
            false => Ok(names.iter().map(|name| format!("{name}:53")).collect()),
        }
    }
}
