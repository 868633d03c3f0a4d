//! The way to the server that is looked at.

use super::FailureKind;
use crate::gate::Wire;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

pub struct Way<'a> {
    /// `host:port`
    pub address: &'a str,
    pub tls: Option<&'a TlsConnector>,
    /// Whether addresses of the link itself may be asked.
    pub link_local: bool,
}

impl Way<'_> {
    pub async fn open(&self) -> Result<Wire, FailureKind> {
        let found = lookup_host(self.address).await.map_err(unreachable)?;
        let (allowed, refused): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.partition(|address| self.link_local || !is_link_local(address.ip()));
        if let (true, Some(address)) = (allowed.is_empty(), refused.first()) {
            let why = format!("{} is link-local, which needs `link-local = true`", address.ip());
            return Err(FailureKind::NotMade(why));
        }
        let stream = TcpStream::connect(&*allowed).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => FailureKind::Refused,
            _ => unreachable(error),
        })?;
        let Some(connector) = self.tls else { return Ok(Wire::Plain(stream)) };
        let name = ServerName::try_from(self.host().to_owned())
            .map_err(|error| FailureKind::NotMade(error.to_string()))?;
        let encrypted = connector.connect(name, stream).await.map_err(|error| {
            // A certificate that is refused is an answer; a connection that breaks is none.
            match error.kind() {
                std::io::ErrorKind::InvalidData => FailureKind::Protocol(error.to_string()),
                _ => unreachable(error),
            }
        })?;
        Ok(Wire::tls(encrypted.into()))
    }

    /// `::1` of `[::1]:443`.
    fn host(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or(self.address, |(host, _)| host);
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }
}

fn unreachable(error: std::io::Error) -> FailureKind {
    FailureKind::Unreachable(error.to_string())
}

/// 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291), also when an IPv4 address is written as one
/// of IPv6.
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_link_local_is_seen_in_every_way_of_writing_it() {
        for (text, expected) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("169.253.0.1", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(is_link_local(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn the_name_that_a_certificate_must_have_is_the_address_without_its_port() {
        let host = |address| Way { address, tls: None, link_local: false }.host().to_owned();
        assert_eq!(host("bank.example.org:443"), "bank.example.org");
        assert_eq!(host("[::1]:443"), "::1");
    }
}
