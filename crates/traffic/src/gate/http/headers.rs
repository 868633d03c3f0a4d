//! What a proxy must do to the heads of messages (RFC 9110, section 7.6).

use super::answer::Problem;
use http::header::{
    CONNECTION, Entry, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
    VIA,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};
use mainstay_core::{Epoch, SiteName};
use std::net::IpAddr;

/// The epoch under which a request was passed on, for the upstream and between gates.
pub const EPOCH: HeaderName = HeaderName::from_static("mainstay-epoch");
/// Between gates: no upstream saw the request, so it may be tried again.
pub const REFUSED: HeaderName = HeaderName::from_static("mainstay-refused");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Client(IpAddr),
    /// The gate of another site, known by its certificate.
    Peer(SiteName),
}

/// A request's head as it is passed on, as often as it takes.
#[derive(Debug)]
pub struct Head {
    pub method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    /// What the passing gate claims; None from clients.
    pub claimed: Option<Epoch>,
}

impl Head {
    pub fn new(parts: Parts, origin: &Origin) -> Result<Self, Problem> {
        let Parts { method, uri, version, mut headers, .. } = parts;
        if method == Method::CONNECT {
            return Err(Problem::BadRequest("the gate makes no tunnels"));
        }
        take_host(&mut headers, &uri, version)?;
        strip_hop_by_hop(&mut headers);
        let claimed = epoch(&headers);
        if let Origin::Client(address) = origin {
            introduce(&mut headers, *address);
        }
        headers.append(VIA, HeaderValue::from_static("1.1 mainstay"));
        let target = uri.path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { method, target, headers, claimed })
    }

    /// Safe methods may be sent again (RFC 9110, section 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    pub fn request<B>(&self, epoch: Epoch, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(EPOCH, HeaderValue::from(epoch.number()));
        request
    }
}

fn epoch(headers: &HeaderMap) -> Option<Epoch> {
    headers.get(EPOCH)?.to_str().ok()?.parse().ok().map(Epoch::new)
}

/// RFC 9112, sections 3.2 and 3.2.2: HTTP/1.1 needs exactly one Host, and an authority in the
/// request line overrides it.
fn take_host(headers: &mut HeaderMap, uri: &Uri, version: Version) -> Result<(), Problem> {
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(Problem::BadRequest("it has more than one Host"));
    }
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(authority.as_str());
        headers.insert(HOST, host.map_err(|_| Problem::BadRequest("its authority is malformed"))?);
    } else if !headers.contains_key(HOST) {
        if version == Version::HTTP_11 {
            return Err(Problem::BadRequest("it has no Host"));
        }
        headers.insert(HOST, HeaderValue::from_static("localhost"));
    }
    Ok(())
}

/// A client cannot speak for a gate, and the upstream learns who the client is.
fn introduce(headers: &mut HeaderMap, client: IpAddr) {
    headers.remove(EPOCH);
    headers.remove(REFUSED);
    let so_far = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let chain = match so_far {
        Some(chain) => format!("{chain}, {client}"),
        None => client.to_string(),
    };
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, value);
    }
    if let Entry::Vacant(entry) = headers.entry(FORWARDED_PROTO) {
        entry.insert(HeaderValue::from_static("http"));
    }
}

pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in named_by_connection(headers).iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Host and Content-Length stay even when named: removing them would change the message.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != HOST && *name != http::header::CONTENT_LENGTH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: Request<()>) -> Result<HeaderMap, Problem> {
        let origin = Origin::Client([192, 0, 2, 7].into());
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
        for gone in ["connection", "x-mine", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
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
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        assert!(head(Request::get("/").body(()).unwrap()).is_err(), "no host");
        let two = Request::get("/").header("host", "a").header("host", "b");
        assert!(head(two.body(()).unwrap()).is_err(), "two hosts");
        let connect = Request::connect("a:1").header("host", "a");
        assert!(head(connect.body(()).unwrap()).is_err(), "connect");
    }
}
