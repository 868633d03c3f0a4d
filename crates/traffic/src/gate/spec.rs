//! What one gate is to do, taken from the estate.

use super::error::GateError;
use mainstay_core::estate::{Application, Estate, Gate, PostgresTls, StoreKind, TlsFiles};
use mainstay_core::{ApplicationName, SiteName, StoreName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The gate of one application at one site.
#[derive(Debug, Clone)]
pub struct GateSpec {
    pub here: SiteName,
    pub application: ApplicationName,
    pub http: Option<HttpSpec>,
    pub stores: BTreeMap<StoreName, StoreSpec>,
    pub peer_listen: SocketAddr,
    /// The gates of the application's other sites: `host:port`.
    pub peers: BTreeMap<SiteName, String>,
    pub tls: TlsFiles,
    pub state_dir: PathBuf,
    /// How long one request or one start-up waits for a change of posture.
    pub hold: Duration,
    pub limits: Limits,
}

#[derive(Debug, Clone)]
pub struct HttpSpec {
    pub listen: SocketAddr,
    pub upstreams: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct StoreSpec {
    pub listen: SocketAddr,
    /// This site's server: `host:port`.
    pub server: String,
    pub tls: PostgresTls,
}

/// Bounds on what clients can make the gate keep. A held request's body is not read, so what a
/// held request costs is its head: with the defaults 1,000 times 64 KiB.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests, and separately start-ups, that wait at one time.
    pub held: usize,
    /// Bytes of one request's head.
    pub head: usize,
    /// Header fields of one request.
    pub headers: usize,
    /// How long a client may take to send a request's head or its start-up.
    pub head_time: Duration,
    /// How long a client's connection may stay idle between requests.
    pub idle_time: Duration,
    /// Open connections of each listener.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            held: 1000,
            head: 64 * 1024,
            headers: 100,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            connections: 10_000,
        }
    }
}

impl GateSpec {
    /// The gate of `application` at the estate's own site.
    pub fn from_estate(
        estate: &Estate,
        application: &Application,
        state_dir: &Path,
    ) -> Result<Self, GateError> {
        let gate = own_gate(estate, application)?;
        Ok(Self {
            here: estate.here.clone(),
            application: application.name.clone(),
            http: gate
                .http
                .as_ref()
                .map(|http| HttpSpec { listen: http.listen, upstreams: http.upstreams.clone() }),
            stores: stores(estate, application, gate)?,
            peer_listen: gate.peer_listen,
            peers: peers(estate, application),
            tls: estate.tls.clone(),
            state_dir: state_dir.to_owned(),
            hold: gate.hold,
            limits: Limits::default(),
        })
    }
}

fn own_gate<'a>(estate: &Estate, application: &'a Application) -> Result<&'a Gate, GateError> {
    application.gates.get(&estate.here).ok_or_else(|| GateError::Incomplete {
        place: format!("applications.{}.gates.{}", application.name, estate.here),
        problem: "the application has no gate at this site".to_owned(),
    })
}

fn stores(
    estate: &Estate,
    application: &Application,
    gate: &Gate,
) -> Result<BTreeMap<StoreName, StoreSpec>, GateError> {
    gate.stores
        .iter()
        .map(|(name, listen)| Ok((name.clone(), store(estate, application, name, *listen)?)))
        .collect()
}

fn store(
    estate: &Estate,
    application: &Application,
    name: &StoreName,
    listen: SocketAddr,
) -> Result<StoreSpec, GateError> {
    let place =
        format!("applications.{}.stores.{name}.endpoints.{}", application.name, estate.here);
    let endpoint = application.stores.get(name).and_then(|store| match &store.kind {
        StoreKind::Postgres(postgres) => postgres.endpoints.get(&estate.here),
    });
    let endpoint = endpoint.ok_or_else(|| GateError::Incomplete {
        place,
        problem: "the gate has a port for this store, but the store has no endpoint here"
            .to_owned(),
    })?;
    let server = format!("{}:{}", endpoint.host, endpoint.port);
    Ok(StoreSpec { listen, server, tls: endpoint.tls.clone() })
}

fn peers(estate: &Estate, application: &Application) -> BTreeMap<SiteName, String> {
    let others = application.gates.iter().filter(|(site, _)| **site != estate.here);
    others.map(|(site, gate)| (site.clone(), gate.peer.clone())).collect()
}
