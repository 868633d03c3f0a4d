//! What a proxy must do to the heads of messages (RFC 9110, section 7.6).

use super::answer::Problem;
use super::websocket::{self, Handshake};
use http::header::{
    CONNECTION, COOKIE, Entry, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    InvalidHeaderValue, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};
use mainstay_core::Epoch;
use std::net::IpAddr;
use std::sync::Arc;

/// The epoch under which a request was passed on, for the upstream and between gates.
pub const EPOCH: HeaderName = HeaderName::from_static("mainstay-epoch");
/// Between gates: no upstream saw the request, so it may be tried again.
pub const REFUSED: HeaderName = HeaderName::from_static("mainstay-refused");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Fields that concern one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Who sent a request to this gate.
#[derive(Debug, Clone)]
pub enum Origin {
    Client(Arc<Client>),
    /// The gate of another site.
    Peer,
    /// The same, for requests that only read, while this site need not be active.
    Reader,
}

impl Origin {
    pub fn encrypted(&self) -> bool {
        matches!(self, Origin::Client(client) if client.encrypted)
    }

    pub fn is_reader(&self) -> bool {
        matches!(self, Origin::Reader)
    }
}

/// What upstreams are told of a client; made once for each connection.
#[derive(Debug)]
pub struct Client {
    pub address: IpAddr,
    pub encrypted: bool,
    text: HeaderValue,
    forwarded: HeaderValue,
}

impl Client {
    pub fn new(address: IpAddr, encrypted: bool) -> Result<Self, InvalidHeaderValue> {
        let address = address.to_canonical();
        let proto = protocol(encrypted);
        // RFC 7239, section 6: an IPv6 address stands in brackets and in quotes.
        let forwarded = match address {
            IpAddr::V4(v4) => format!("for={v4};proto={proto}"),
            IpAddr::V6(v6) => format!("for=\"[{v6}]\";proto={proto}"),
        };
        Ok(Self {
            address,
            encrypted,
            text: HeaderValue::from_str(&address.to_string())?,
            forwarded: HeaderValue::from_str(&forwarded)?,
        })
    }
}

fn protocol(encrypted: bool) -> &'static str {
    if encrypted { "https" } else { "http" }
}

/// A request's head as it is passed on, as often as it takes.
#[derive(Debug)]
pub struct Head {
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: HeaderMap,
    /// What the passing gate claims; None from clients.
    pub claimed: Option<Epoch>,
    /// The protocol that the client wants to go on with, such as `websocket`.
    pub upgrade: Option<HeaderValue>,
    /// Of a WebSocket that came over HTTP/2.
    pub handshake: Option<Handshake>,
}

impl Head {
    pub fn new(parts: Parts, origin: &Origin) -> Result<Self, Problem> {
        let mut parts = parts;
        let handshake = websocket::translate(&mut parts)?;
        let Parts { method, uri, version, mut headers, .. } = parts;
        take_host(&mut headers, &uri, version)?;
        let upgrade = match handshake {
            Some(_) => Some(websocket::protocol()),
            None => upgrade(&method, version, &headers),
        };
        let trailers = wants_trailers(&headers);
        strip_hop_by_hop(&mut headers);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        let claimed = epoch(&headers);
        if let Origin::Client(client) = origin {
            introduce(&mut headers, client);
        }
        let via = if version == Version::HTTP_2 { "2.0 mainstay" } else { "1.1 mainstay" };
        headers.append(VIA, HeaderValue::from_static(via));
        if version == Version::HTTP_2 {
            join_cookies(&mut headers);
        }
        let target = uri.path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { method, target, headers, claimed, upgrade, handshake })
    }

    /// Safe methods may be sent again (RFC 9110, section 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD) && self.upgrade.is_none()
    }

    /// It changes nothing, so a site that is not active may answer it.
    pub fn only_reads(&self) -> bool {
        self.is_safe() || self.method == Method::OPTIONS
    }

    /// Without its port.
    pub fn host(&self) -> &str {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        host.rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'))
            .map_or(host, |(name, _)| name)
    }

    pub fn request<B>(&self, epoch: Epoch, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.insert(EPOCH, HeaderValue::from(epoch.number()));
        if let Some(upgrade) = &self.upgrade {
            switch_to(headers, upgrade.clone());
        }
        request
    }
}

/// What both messages of an upgrade say (RFC 9110, section 7.8).
pub fn switch_to(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// HTTP/2 over an upgrade would be a way round everything that is checked here.
fn upgrade(method: &Method, version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    let name = protocol.to_str().ok()?.to_ascii_lowercase();
    let wanted = named_by_connection(headers).contains(&UPGRADE);
    let plain = *method == Method::GET && version == Version::HTTP_11;
    let http = name.contains("h2c") || name.contains("http") || name.contains(',');
    (wanted && plain && !http).then(|| protocol.clone())
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim() == "trailers")
}

/// RFC 9113, section 8.2.3: HTTP/2 sends crumbs, HTTP/1.1 knows one field.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

fn epoch(headers: &HeaderMap) -> Option<Epoch> {
    headers.get(EPOCH)?.to_str().ok()?.parse().ok().map(Epoch::new)
}

/// RFC 9112, sections 3.2 and 3.2.2: HTTP/1.1 needs exactly one Host. An authority in the request
/// line would override it; where the two differ somebody is misled.
fn take_host(headers: &mut HeaderMap, uri: &Uri, version: Version) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Problem::BadRequest("it has more than one Host"));
    }
    match (uri.authority(), host) {
        (Some(authority), Some(host)) if !host_is(host, authority) => {
            Err(Problem::BadRequest("its Host is not the authority that it asks for"))
        }
        (Some(authority), _) => {
            let bare = authority.as_str().rsplit_once('@');
            let bare = bare.map_or(authority.as_str(), |(_, bare)| bare);
            let host = HeaderValue::from_str(bare);
            let host = host.map_err(|_| Problem::BadRequest("its authority is malformed"))?;
            headers.insert(HOST, host);
            Ok(())
        }
        (None, Some(host)) if is_host(host) => Ok(()),
        (None, Some(_)) => Err(Problem::BadRequest("its Host is malformed")),
        (None, None) if version == Version::HTTP_10 => {
            headers.insert(HOST, HeaderValue::from_static("localhost"));
            Ok(())
        }
        (None, None) => Err(Problem::BadRequest("it has no Host")),
    }
}

fn host_is(host: &HeaderValue, authority: &Authority) -> bool {
    host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

/// Neither a list nor a path, nor a user.
fn is_host(host: &HeaderValue) -> bool {
    host.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b",/@?#\\\"".contains(byte))
}

/// A client cannot speak for a gate, and the upstream learns who the client is.
fn introduce(headers: &mut HeaderMap, client: &Client) {
    headers.remove(EPOCH);
    headers.remove(REFUSED);
    extend(headers, FORWARDED_FOR, &client.text);
    extend(headers, FORWARDED, &client.forwarded);
    let proto = || HeaderValue::from_static(protocol(client.encrypted));
    match headers.entry(FORWARDED_PROTO) {
        Entry::Vacant(entry) => drop(entry.insert(proto())),
        Entry::Occupied(mut entry) if client.encrypted => drop(entry.insert(proto())),
        Entry::Occupied(_) => {}
    }
    if let Some(host) = headers.get(HOST).cloned()
        && let Entry::Vacant(entry) = headers.entry(FORWARDED_HOST)
    {
        entry.insert(host);
    }
}

/// A list grows at its end; several fields of one name are one list (RFC 9110, section 5.3).
fn extend(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    let so_far: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if so_far.is_empty() {
        headers.insert(name, value.clone());
        return;
    }
    let chain = [so_far.join(&b", "[..]).as_slice(), b", ", value.as_bytes()].concat();
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(name, chain);
    }
}

pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in named_by_connection(headers).iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Host, Content-Length and what the gate itself says stay even when named: removing them would
/// change the message.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != HOST && *name != http::header::CONTENT_LENGTH && *name != EPOCH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: Request<()>) -> Result<HeaderMap, Problem> {
        let client = Client::new([192, 0, 2, 7].into(), false).unwrap();
        let origin = Origin::Client(Arc::new(client));
        let head = Head::new(request.into_parts().0, &origin)?;
        Ok(head.request(Epoch::new(4), ()).headers().clone())
    }

    #[test]
    fn fields_of_one_connection_are_not_passed_on() {
        let request = Request::get("/")
            .header("host", "bank.example")
            .header("connection", "close, X-Mine, Host")
            .header("x-mine", "1")
            .header("keep-alive", "timeout=5")
            .header("te", "trailers")
            .header("upgrade", "h2c")
            .header("x-other", "2");
        let headers = head(request.body(()).unwrap()).unwrap();
        for gone in ["x-mine", "keep-alive", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        // What the gate itself says of its own connection to the upstream.
        assert_eq!(
            (&headers["connection"], &headers["te"]),
            (&"te".parse().unwrap(), &"trailers".parse().unwrap())
        );
        assert_eq!(headers["host"], "bank.example");
        assert_eq!(headers["x-other"], "2");
        assert_eq!(headers["via"], "1.1 mainstay");
    }

    #[test]
    fn a_client_cannot_claim_an_epoch_and_its_address_is_told() {
        let request = Request::get("/")
            .header("host", "bank.example")
            .header("mainstay-epoch", "99")
            .header("x-forwarded-for", "203.0.113.9");
        let headers = head(request.body(()).unwrap()).unwrap();
        assert_eq!(headers["mainstay-epoch"], "4");
        assert_eq!(headers["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(headers["forwarded"], "for=192.0.2.7;proto=http");
        assert_eq!(headers["x-forwarded-host"], "bank.example");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        assert!(head(Request::get("/").body(()).unwrap()).is_err(), "no host");
        let two = Request::get("/").header("host", "a").header("host", "b");
        assert!(head(two.body(()).unwrap()).is_err(), "two hosts");
        let unlike = Request::get("http://b/").header("host", "a");
        assert!(head(unlike.body(()).unwrap()).is_err(), "another authority");
        for list in ["a, b", "u@a", "a/b", ""] {
            let malformed = Request::get("/").header("host", list);
            let answer = head(malformed.body(()).unwrap());
            assert_eq!(answer.is_err(), !list.is_empty(), "{list}");
        }
        let connect = Request::connect("a:1").header("host", "a");
        assert!(head(connect.body(()).unwrap()).is_err(), "connect");
    }
}
