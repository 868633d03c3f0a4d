//! WebSockets over HTTP/2, which begin with an extended CONNECT (RFC 8441), as upstreams know them:
//! by an upgrade of HTTP/1.1 (RFC 6455). The two differ in how they begin; what follows is the same.

use super::answer::Problem;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use hyper::ext::Protocol;
use hyper::header::{HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};

/// What both ends hash the key with (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const WEBSOCKET: &str = "websocket";
/// What HTTP/2 leaves out, and a client may send all the same.
const OURS: [HeaderName; 2] = [SEC_WEBSOCKET_KEY, UPGRADE];

/// What an upstream must answer, so that it is known to have understood.
#[derive(Debug, Clone)]
pub struct Handshake {
    accept: String,
}

/// Makes an extended CONNECT the request that upstreams know. None for every other request; a
/// CONNECT that asks for a tunnel, or for another protocol, is refused.
pub fn translate(parts: &mut Parts) -> Result<Option<Handshake>, Problem> {
    if parts.method != Method::CONNECT {
        return Ok(None);
    }
    match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str() == WEBSOCKET => {}
        Some(_) => return Err(Problem::BadRequest("the gate knows no such protocol")),
        None => return Err(Problem::BadRequest("the gate makes no tunnels")),
    }
    OURS.iter().for_each(|name| drop(parts.headers.remove(name)));
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let written = HeaderValue::from_str(&key);
    let written = written.map_err(|_| Problem::BadRequest("its key cannot be written"))?;
    parts.headers.insert(SEC_WEBSOCKET_KEY, written);
    parts.method = Method::GET;
    Ok(Some(Handshake { accept: accept(&key) }))
}

/// The protocol that the upstream is asked for.
pub fn protocol() -> HeaderValue {
    HeaderValue::from_static(WEBSOCKET)
}

impl Handshake {
    /// Takes the upstream's answer out of the headers: HTTP/2 has no such thing.
    pub fn take_answer(&self, headers: &mut HeaderMap) -> bool {
        headers.remove(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept == self.accept)
    }
}

fn accept(key: &str) -> String {
    let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, section 1.3.
    #[test]
    fn a_key_is_answered_as_in_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
