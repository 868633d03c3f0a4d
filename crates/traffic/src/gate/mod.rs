//! The gate: the proxy of one application at one site. It checks the epoch, so a stale primary
//! cannot accept a write through it, and it closes by itself when its agent falls silent.

mod aside;
mod certificate;
mod epoch_file;
mod error;
mod handover;
mod http;
mod keeper;
mod listen;
mod minute;
mod obeyed;
mod peer;
pub mod posture;
mod reads;
mod shared;
mod socket;
mod spec;
mod tcp;
mod wire;

pub(crate) use peer::tls::connector_without_certificate;
pub(crate) use wire::Wire;

pub use error::GateError;
pub use spec::{GateSpec, HttpSpec, Limits, Protocol, StoreSpec};

use self::http::{Client, Log, Origin, PROTOCOLS, Proxy};
use crate::control::Posture;
use crate::tick;
use certificate::Certificate;
use epoch_file::EpochFile;
use handover::Giver;
use keeper::{Keeper, watch_lapse};
use listen::{Life, Listeners, accept};
use mainstay_core::{Epoch, StoreName};
use obeyed::Obeyed;
use peer::client::Peers;
use peer::pulse;
use peer::server::PeerServer;
use peer::tls::{self, Tls};
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tcp::{Ports, Stores, Way};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what is under way may take to end after a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the agent may take to direct a gate that takes over from another.
const FIRST_DIRECTIVE: Duration = Duration::from_secs(5);

/// Why a gate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Told,
    /// A younger gate has its ports, and its last connection has ended.
    HandedOver,
}

/// Runs the gate until `shutdown`, or until another one has taken over from it. It starts closed
/// and does what its agent says over `gate.sock`.
pub async fn run(spec: GateSpec, shutdown: CancellationToken) -> Result<Ended, GateError> {
    let tls = tls::load(&spec)?;
    let file = EpochFile::new(&spec.state_dir, spec.application.clone());
    let kept = prove(&file).map_err(|source| GateError::Epoch { path: file.path(), source })?;
    let ports = Ports::new(&spec)?;
    let web = Web::load(&spec)?;
    let mut elder = handover::take(&spec).await.map_err(GateError::Handover)?;
    let mut listeners = Listeners::bind(&spec, &mut elder)?;
    let to_hand_over = std::mem::take(&mut listeners.to_hand_over);
    let shared = Shared::new(spec, kept);
    let life = Life::new(&shutdown, shared.spec.retired.clone());
    let obeyed =
        Obeyed::start(Keeper { shared: Arc::clone(&shared), file, kept, elder: None }, &life);
    let lapsing = tokio::spawn(watch_lapse(Arc::clone(&shared)));
    let reading = tokio::spawn(reads::watch(Arc::clone(&shared)));
    if let Some(elder) = elder {
        obeyed.directed().await?;
        obeyed.pass_on_to(elder.retire(&shared)).await;
    }
    open(&shared, listeners, tls, ports, web, &life);
    let giver = Giver::bind(&shared.spec, to_hand_over);
    let giving = tokio::spawn(handover::give(giver, obeyed));
    tracing::info!(application = %shared.spec.application, site = %shared.spec.here, "the gate is up, closed");
    let ended = tokio::select! {
        () = life.shutdown.cancelled() => Ended::Told,
        () = last_connection(&life) => Ended::HandedOver,
    };
    giving.abort();
    farewell(&shared, &life).await;
    lapsing.abort();
    reading.abort();
    Ok(ended)
}

/// A gate that cannot keep the next epoch says so now, not during a failover.
fn prove(file: &EpochFile) -> std::io::Result<Epoch> {
    let kept = file.read()?;
    file.prove()?;
    Ok(kept)
}

/// After its ports went to a younger gate.
async fn last_connection(life: &Life) {
    life.retired.cancelled().await;
    life.tasks.close();
    life.tasks.wait().await;
}

/// What the web side has besides its port.
struct Web {
    certificate: Option<Arc<Certificate>>,
    log: Option<Arc<Log>>,
}

impl Web {
    fn load(spec: &GateSpec) -> Result<Self, GateError> {
        let options = spec.http.as_ref().map(|http| &http.options);
        let tls = options.and_then(|options| options.tls.as_ref());
        let log = options.and_then(|options| options.log.as_ref());
        let opened = log.map(|log| {
            let failed = |source| GateError::Log { path: log.file.clone(), source };
            Log::open(log).map_err(failed)
        });
        let certificate = tls.map(|tls| Certificate::load(&tls.files, &PROTOCOLS)).transpose()?;
        Ok(Self { certificate: certificate.map(Arc::new), log: opened.transpose()? })
    }

    fn watch(&self, proxy: &Arc<Proxy>, life: &Life) {
        let log = hang_up(self.log.clone());
        tokio::spawn(life.shutdown.clone().run_until_cancelled_owned(log));
        let upstreams = Arc::clone(proxy).watch_upstreams();
        tokio::spawn(life.shutdown.clone().run_until_cancelled_owned(upstreams));
    }
}

/// On SIGHUP the log is opened again; a gate without one goes on, too.
async fn hang_up(log: Option<Arc<Log>>) {
    let mut signals = match signal(SignalKind::hangup()) {
        Ok(signals) => signals,
        Err(error) => return tracing::warn!(%error, "SIGHUP cannot be waited for"),
    };
    while signals.recv().await.is_some() {
        if let Some(log) = &log {
            log.reopen();
        }
    }
}

fn open(shared: &Arc<Shared>, listeners: Listeners, tls: Tls, ports: Ports, web: Web, life: &Life) {
    let peers = Peers::new(Arc::clone(shared), tls.connector);
    let proxy =
        Proxy::new(Arc::clone(shared), Arc::clone(&peers), web.log.clone(), life.retired.clone());
    web.watch(&proxy, life);
    watch_peers(Arc::clone(shared), Arc::clone(&peers), life);
    let stores = Stores::new(Arc::clone(shared), peers, ports);
    if let Some(listener) = listeners.http {
        open_http(listener, Arc::clone(&proxy), web.certificate, life);
    }
    for (name, listener) in listeners.stores {
        open_store(listener, name, Way::Writer, Arc::clone(&stores), life);
    }
    for (name, listener) in listeners.reads {
        open_store(listener, name, Way::Reads, Arc::clone(&stores), life);
    }
    let shared = Arc::clone(shared);
    let server = Arc::new(PeerServer { shared, acceptor: tls.acceptor, proxy, stores });
    open_peer(listeners.peer, server, life);
}

fn watch_peers(shared: Arc<Shared>, peers: Arc<Peers>, life: &Life) {
    let pulse = pulse::watch(shared, peers);
    tokio::spawn(life.shutdown.clone().run_until_cancelled_owned(pulse));
}

fn open_http(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    certificate: Option<Arc<Certificate>>,
    life: &Life,
) {
    let most = proxy.limits().connections;
    let (life, shutdown) = (life.clone(), life.shutdown.clone());
    tokio::spawn(accept(listener, most, life, move |stream, from| {
        let (proxy, shutdown) = (Arc::clone(&proxy), shutdown.clone());
        let acceptor = certificate.as_ref().map(|certificate| certificate.acceptor());
        async move {
            // An address is always a header's value.
            let Ok(client) = Client::new(from.ip(), acceptor.is_some()) else { return };
            let origin = Origin::Client(Arc::new(client));
            match acceptor {
                Some(acceptor) => proxy.serve_tls(stream, &acceptor, origin, shutdown).await,
                None => proxy.serve_plain(stream, origin, shutdown).await,
            }
        }
    }));
}

fn open_store(listener: TcpListener, name: StoreName, way: Way, stores: Arc<Stores>, life: &Life) {
    let most = stores.limits().connections;
    tokio::spawn(accept(listener, most, life.clone(), move |stream, _| {
        let (stores, name) = (Arc::clone(&stores), name.clone());
        async move { stores.serve_client(&name, way, stream).await }
    }));
}

fn open_peer(listener: TcpListener, server: Arc<PeerServer>, life: &Life) {
    let most = server.shared.spec.limits.connections;
    let (life, shutdown) = (life.clone(), life.shutdown.clone());
    tokio::spawn(accept(listener, most, life, move |stream, from| {
        Arc::clone(&server).serve(stream, from, shutdown.clone())
    }));
}

/// Lets what is under way end, as for a switch, and then ends the rest.
async fn farewell(shared: &Arc<Shared>, life: &Life) {
    let epoch = shared.standing().epoch();
    shared.reads.leave();
    shared.apply(0, epoch, Posture::Hold { until: tick::now().plus(FAREWELL) });
    life.tasks.close();
    let _ = tokio::time::timeout(FAREWELL, life.tasks.wait()).await;
    life.kill.cancel();
    life.tasks.wait().await;
}
