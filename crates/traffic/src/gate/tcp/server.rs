//! This site's own server of a store, as the gate reaches it.

use crate::gate::error::GateError;
use crate::gate::peer::tls;
use crate::gate::socket;
use crate::gate::spec::{Protocol, StoreSpec};
use crate::gate::wire::Wire;
use rustls::pki_types::ServerName;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Length 8 and the request's code 80877103 (PostgreSQL manual, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub struct Server {
    /// `host:port`.
    address: String,
    protocol: Protocol,
    encryption: Option<(TlsConnector, ServerName<'static>)>,
}

impl Server {
    pub fn new(spec: &StoreSpec) -> Result<Self, GateError> {
        let encryption = match &spec.authority {
            None => None,
            Some(authority) => {
                let connector = tls::connector_without_certificate(authority)?;
                Some((connector, name(spec)?))
            }
        };
        Ok(Self { address: spec.server.clone(), protocol: spec.protocol, encryption })
    }

    /// A connection, encrypted where the configuration says so, before any byte of a client.
    pub async fn connect(&self) -> io::Result<Wire> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.dial()).await?
    }

    async fn dial(&self) -> io::Result<Wire> {
        let mut stream = TcpStream::connect(&self.address).await?;
        socket::prepare(&stream);
        let Some((connector, name)) = &self.encryption else { return Ok(Wire::Plain(stream)) };
        if self.protocol == Protocol::Postgres {
            ask_for_tls(&mut stream).await?;
        }
        Ok(Wire::tls(connector.connect(name.clone(), stream).await?.into()))
    }
}

async fn ask_for_tls(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' => Ok(()),
        _ => Err(io::Error::other("the server does not offer TLS")),
    }
}

fn name(spec: &StoreSpec) -> Result<ServerName<'static>, GateError> {
    let host = spec.server.rsplit_once(':').map_or(spec.server.as_str(), |(host, _)| host);
    ServerName::try_from(host.to_owned()).map_err(|error| GateError::Incomplete {
        place: spec.server.clone(),
        problem: format!("{host} is not a name that a certificate can carry: {error}"),
    })
}
