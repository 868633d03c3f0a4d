//! The gate in a process of its own, so that its processor time and memory are its own.

use super::Outcome;
use mainstay_core::estate::TlsFiles;
use mainstay_core::{ApplicationName, SiteName, StoreName};
use mainstay_traffic::gate::{self, GateSpec, HttpSpec, Protocol, StoreSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The variable that says that this process is a gate, and what it is to do.
pub const ORDER: &str = "MAINSTAY_BENCH_GATE";

#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    pub site: String,
    pub http: SocketAddr,
    pub upstream: SocketAddr,
    /// A store of bytes, and one of PostgreSQL: where the gate listens, and where it leads.
    pub plain: [SocketAddr; 2],
    pub postgres: [SocketAddr; 2],
    pub peer: SocketAddr,
    pub peers: Vec<(String, SocketAddr)>,
    pub state: PathBuf,
    pub tls: [PathBuf; 3],
}

pub async fn run(order: &str) -> Outcome<()> {
    let order: Order = serde_json::from_str(order)?;
    gate::run(order.spec()?, CancellationToken::new()).await?;
    Ok(())
}

pub fn application() -> Outcome<ApplicationName> {
    Ok(ApplicationName::new("bank")?)
}

impl Order {
    fn spec(self) -> Outcome<GateSpec> {
        let store = |[listen, server]: [SocketAddr; 2], protocol| StoreSpec {
            listen,
            reads: None,
            server: server.to_string(),
            protocol,
            authority: None,
        };
        let stores = [
            (StoreName::new("plain")?, store(self.plain, Protocol::Plain)),
            (StoreName::new("db")?, store(self.postgres, Protocol::Postgres)),
        ];
        let mut peers = BTreeMap::new();
        for (site, peer) in &self.peers {
            peers.insert(SiteName::new(site)?, peer.to_string());
        }
        let [authority, certificate, key] = self.tls;
        Ok(GateSpec {
            here: SiteName::new(&self.site)?,
            application: application()?,
            http: Some(HttpSpec {
                listen: self.http,
                upstreams: vec![self.upstream.to_string()],
                options: Default::default(),
            }),
            stores: stores.into(),
            tcp: Default::default(),
            peer_listen: self.peer,
            peers,
            tls: TlsFiles { authority, certificate, key },
            state_dir: self.state,
            hold: Duration::from_secs(10),
            limits: gate::Limits { connections: 15_000, ..Default::default() },
            active: Default::default(),
            retired: Default::default(),
        })
    }
}
