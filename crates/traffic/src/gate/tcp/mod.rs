//! The TCP side of the gate: connections to stores, each to the active site's server.

mod admission;
mod plain;
mod postgres;
mod pump;
mod reader;
mod relay;
mod server;
mod starting;

use super::certificate::Certificate;
use super::error::GateError;
use super::peer::client::Peers;
use super::shared::{Pass, Shared};
use super::spec::{GateSpec, Limits, Protocol, StoreSpec};
use super::wire::Wire;
use mainstay_core::StoreName;
use mainstay_core::estate::ClientTls;
use server::Server;
use starting::Starting;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The gate's ports for stores.
pub struct Stores {
    shared: Arc<Shared>,
    peers: Arc<Peers>,
    ports: Ports,
}

/// By their store.
pub struct Ports(BTreeMap<StoreName, Port>);

/// One store, as its clients and this site's server of it are spoken to.
struct Port {
    protocol: Protocol,
    certificate: Option<Certificate>,
    max_age: Option<Duration>,
    starting: Starting,
    server: Server,
}

impl Ports {
    pub fn new(spec: &GateSpec) -> Result<Self, GateError> {
        let ports = spec.stores.iter();
        let ports = ports.map(|(name, store)| Ok((name.clone(), Port::new(store, spec)?)));
        Ok(Self(ports.collect::<Result<_, _>>()?))
    }
}

impl Port {
    fn new(store: &StoreSpec, spec: &GateSpec) -> Result<Self, GateError> {
        let mut store = store.clone();
        if spec.tcp.tls == ClientTls::Through {
            (store.protocol, store.authority) = (Protocol::Plain, None);
        }
        let protocols: &'static [&'static [u8]] = match store.protocol {
            Protocol::Postgres => &[postgres::PROTOCOL],
            Protocol::Redis | Protocol::Plain => &[],
        };
        let certificate = match &spec.tcp.tls {
            ClientTls::Terminate(files) => Some(Certificate::load(files, protocols)?),
            ClientTls::Decline | ClientTls::Through => None,
        };
        Ok(Self {
            protocol: store.protocol,
            certificate,
            max_age: spec.tcp.max_age,
            starting: Starting::new(spec.limits.starting),
            server: Server::new(&store)?,
        })
    }
}

/// Where connections to one of a gate's addresses are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the active site's server.
    Writer,
    /// To the nearest that may be read.
    Reads,
}

/// What one connection of a client is for.
#[derive(Clone, Copy)]
struct To<'a> {
    store: &'a StoreName,
    way: Way,
    port: &'a Port,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the client or the server.
    Closed,
    /// By the gate, as the posture wants it.
    Cut,
    /// By the gate, for its age.
    Old,
    /// By the gate, because the database it reads may not be read any more.
    Behind,
    /// One side's bytes are not of the protocol, or its connection broke.
    Broken,
}

impl Stores {
    pub fn new(shared: Arc<Shared>, peers: Arc<Peers>, ports: Ports) -> Arc<Self> {
        Arc::new(Self { shared, peers, ports })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.spec.limits
    }

    /// One connection of a client, from its beginning to its end.
    pub async fn serve_client(&self, store: &StoreName, way: Way, stream: TcpStream) {
        let Some(port) = self.ports.0.get(store) else { return };
        let to = To { store, way, port };
        match port.protocol {
            Protocol::Postgres => self.serve_postgres(to, stream).await,
            Protocol::Redis | Protocol::Plain => self.serve_plain(to, stream).await,
        }
    }

    /// One connection that another gate passes on, already admitted.
    pub async fn serve_peer(&self, store: &StoreName, pass: Pass, peer: Wire) {
        let Some(port) = self.ports.0.get(store) else { return };
        match port.protocol {
            Protocol::Postgres => self.serve_postgres_peer(store, port, pass, peer).await,
            Protocol::Redis | Protocol::Plain => {
                self.serve_plain_peer(store, port, pass, peer).await;
            }
        }
    }
}
