//! What one gate is to do, taken from the estate.

use super::error::GateError;
use crate::dns::server::Active;
use mainstay_core::estate::{
    Application, Estate, Gate, HttpGate, PostgresTls, RedisTls, StoreKind, TcpOptions, TlsFiles,
    WebLimits, WebOptions,
};
use mainstay_core::{ApplicationName, Epoch, Posture, SiteName, StoreName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The gate of one application at one site.
#[derive(Debug, Clone)]
pub struct GateSpec {
    pub here: SiteName,
    pub application: ApplicationName,
    pub http: Option<HttpSpec>,
    pub stores: BTreeMap<StoreName, StoreSpec>,
    /// Of the connections to all of them.
    pub tcp: TcpOptions,
    pub peer_listen: SocketAddr,
    /// The gates of the application's other sites: `host:port`.
    pub peers: BTreeMap<SiteName, String>,
    pub tls: TlsFiles,
    pub state_dir: PathBuf,
    /// How long one request or one start-up waits for a change of posture.
    pub hold: Duration,
    pub limits: Limits,
    /// Where this site's DNS server hears which site is active.
    pub active: watch::Sender<Option<Active>>,
    /// Cancelled when another process has taken this gate's ports over.
    pub retired: CancellationToken,
}

#[derive(Debug, Clone)]
pub struct HttpSpec {
    pub listen: SocketAddr,
    pub upstreams: Vec<String>,
    pub options: WebOptions,
}

#[derive(Debug, Clone)]
pub struct StoreSpec {
    pub listen: SocketAddr,
    /// Where those connect that only read.
    pub reads: Option<SocketAddr>,
    /// This site's server: `host:port`.
    pub server: String,
    pub protocol: Protocol,
    /// The authority of the server's certificate; none: the gate does not encrypt towards it.
    pub authority: Option<PathBuf>,
}

/// What the gate understands of what it carries for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Start-ups wait, sessions are cut outside transactions, with an error that drivers know.
    Postgres,
    /// Bytes, and an error that clients know for those that are not let in.
    Redis,
    /// Bytes: whatever both sides say.
    Plain,
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
    /// Of them, to one store, those that have not said yet what they want.
    pub starting: usize,
    /// Bytes of one request's body.
    pub body: Option<u64>,
    /// How long a request's body may stand still.
    pub body_idle: Duration,
    /// How long an upstream may take to begin an answer.
    pub answer_time: Option<Duration>,
}

/// Requests, and separately start-ups, that wait at one time.
const HELD: usize = 1000;
/// Connections to a store that have not said yet what they want.
const STARTING: usize = 1000;

impl Default for Limits {
    fn default() -> Self {
        Self::new(&WebLimits::default())
    }
}

impl Limits {
    fn of(http: &HttpGate) -> Self {
        Self::new(&http.options.limits)
    }

    fn new(web: &WebLimits) -> Self {
        Self {
            held: HELD,
            head: web.head,
            headers: web.headers,
            head_time: web.head_time,
            idle_time: web.idle_time,
            connections: web.connections,
            starting: STARTING,
            body: web.body,
            body_idle: web.body_idle,
            answer_time: web.answer_time,
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
            http: gate.http.as_ref().map(|http| HttpSpec {
                listen: http.listen,
                upstreams: http.upstreams.clone(),
                options: http.options.clone(),
            }),
            stores: stores(estate, application, gate)?,
            tcp: gate.tcp.clone(),
            peer_listen: gate.peer_listen,
            peers: peers(estate, application),
            tls: estate.tls.clone(),
            state_dir: state_dir.to_owned(),
            hold: gate.hold,
            limits: gate.http.as_ref().map_or_else(Limits::default, Limits::of),
            active: watch::Sender::new(None),
            retired: CancellationToken::new(),
        })
    }

    /// A gate that holds or is closed says nothing of where to go: then what was said before holds.
    pub fn tell_dns(&self, epoch: Epoch, posture: &Posture, away: BTreeSet<SiteName>) {
        let site = match posture {
            Posture::Serve { .. } => self.here.clone(),
            Posture::Forward { to } => to.clone(),
            Posture::Hold { .. } | Posture::Closed { .. } => return,
        };
        self.active.send_replace(Some(Active { epoch, site, away }));
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
        .map(|(name, listen)| {
            let addresses = (*listen, gate.reads.get(name).copied());
            Ok((name.clone(), store(estate, application, name, addresses)?))
        })
        .collect()
}

fn store(
    estate: &Estate,
    application: &Application,
    name: &StoreName,
    (listen, reads): (SocketAddr, Option<SocketAddr>),
) -> Result<StoreSpec, GateError> {
    let place =
        format!("applications.{}.stores.{name}.endpoints.{}", application.name, estate.here);
    let store = application.stores.get(name);
    let spec = store.and_then(|store| match &store.kind {
        StoreKind::Postgres(postgres) => {
            postgres.endpoints.get(&estate.here).map(|endpoint| StoreSpec {
                listen,
                reads,
                server: format!("{}:{}", endpoint.host, endpoint.port),
                protocol: Protocol::Postgres,
                authority: match &endpoint.tls {
                    PostgresTls::Disable => None,
                    PostgresTls::VerifyFull { authority } => Some(authority.clone()),
                },
            })
        }
        StoreKind::Redis(redis) => redis.endpoints.get(&estate.here).map(|endpoint| StoreSpec {
            listen,
            reads,
            server: format!("{}:{}", endpoint.host, endpoint.port),
            protocol: Protocol::Redis,
            authority: match &endpoint.tls {
                RedisTls::Disable => None,
                RedisTls::VerifyFull { authority } => Some(authority.clone()),
            },
        }),
    });
    spec.ok_or_else(|| GateError::Incomplete {
        place,
        problem: "the gate has a port for this store, but the store has no endpoint here"
            .to_owned(),
    })
}

fn peers(estate: &Estate, application: &Application) -> BTreeMap<SiteName, String> {
    let others = application.gates.iter().filter(|(site, _)| **site != estate.here);
    others.map(|(site, gate)| (site.clone(), gate.peer.clone())).collect()
}
