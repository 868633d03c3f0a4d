//! The gate: the proxy of one application at one site. It checks the epoch, so a stale primary
//! cannot accept a write through it, and it closes by itself when its agent falls silent.

mod epoch_file;
mod error;
mod http;
mod keeper;
mod listen;
mod minute;
mod peer;
pub mod posture;
mod shared;
mod spec;
mod tcp;
mod wire;

pub(crate) use peer::tls::connector_without_certificate;
pub(crate) use wire::Wire;

pub use error::GateError;
pub use spec::{GateSpec, HttpSpec, Limits, StoreSpec};

use self::http::{Origin, Proxy};
use crate::control::{self, Posture};
use crate::tick;
use epoch_file::EpochFile;
use keeper::{Keeper, watch_lapse};
use listen::{Life, Listeners, accept};
use mainstay_core::{Epoch, StoreName};
use peer::client::Peers;
use peer::pulse;
use peer::server::PeerServer;
use peer::tls::{self, Tls};
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tcp::{Servers, Stores};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long what is under way may take to end after a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the gate until `shutdown`. It starts closed and does what its agent says over
/// `gate.sock`.
pub async fn run(spec: GateSpec, shutdown: CancellationToken) -> Result<(), GateError> {
    let tls = tls::load(&spec)?;
    let file = EpochFile::new(&spec.state_dir, spec.application.clone());
    let kept = prove(&file).map_err(|source| GateError::Epoch { path: file.path(), source })?;
    let servers = Servers::new(&spec)?;
    let listeners = Listeners::bind(&spec).await?;
    let shared = Shared::new(spec, kept);
    let life = Life {
        tasks: TaskTracker::new(),
        shutdown: shutdown.clone(),
        kill: CancellationToken::new(),
    };
    let obeying = obey(Keeper { shared: Arc::clone(&shared), file, kept });
    let lapsing = tokio::spawn(watch_lapse(Arc::clone(&shared)));
    open(&shared, listeners, tls, servers, &life);
    tracing::info!(application = %shared.spec.application, site = %shared.spec.here, "the gate is up, closed");
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = obeying => {}
    }
    farewell(&shared, &life).await;
    lapsing.abort();
    Ok(())
}

/// A gate that cannot keep the next epoch says so now, not during a failover.
fn prove(file: &EpochFile) -> std::io::Result<Epoch> {
    let kept = file.read()?;
    file.prove()?;
    Ok(kept)
}

async fn obey(keeper: Keeper) {
    let shared = Arc::clone(&keeper.shared);
    let (directives, received) = mpsc::channel(8);
    let (reports, told) = watch::channel(shared.report());
    let socket = control::socket(&shared.spec.state_dir);
    tokio::select! {
        () = keeper.run(received, reports) => {}
        () = control::client::run(&socket, directives, told) => {}
    }
}

fn open(shared: &Arc<Shared>, listeners: Listeners, tls: Tls, servers: Servers, life: &Life) {
    let peers = Peers::new(Arc::clone(shared), tls.connector);
    let proxy = Proxy::new(Arc::clone(shared), Arc::clone(&peers));
    watch_peers(Arc::clone(shared), Arc::clone(&peers), life);
    let stores = Stores::new(Arc::clone(shared), peers, servers);
    if let Some(listener) = listeners.http {
        open_http(listener, Arc::clone(&proxy), life);
    }
    for (name, listener) in listeners.stores {
        open_store(listener, name, Arc::clone(&stores), life);
    }
    let shared = Arc::clone(shared);
    let server = Arc::new(PeerServer { shared, acceptor: tls.acceptor, proxy, stores });
    open_peer(listeners.peer, server, life);
}

fn watch_peers(shared: Arc<Shared>, peers: Arc<Peers>, life: &Life) {
    let pulse = pulse::watch(shared, peers);
    tokio::spawn(life.shutdown.clone().run_until_cancelled_owned(pulse));
}

fn open_http(listener: TcpListener, proxy: Arc<Proxy>, life: &Life) {
    let most = proxy.limits().connections;
    let (life, shutdown) = (life.clone(), life.shutdown.clone());
    tokio::spawn(accept(listener, most, life, move |stream, from| {
        Arc::clone(&proxy).serve(stream, Origin::Client(from.ip()), shutdown.clone())
    }));
}

fn open_store(listener: TcpListener, name: StoreName, stores: Arc<Stores>, life: &Life) {
    let most = stores.limits().connections;
    tokio::spawn(accept(listener, most, life.clone(), move |stream, _| {
        let (stores, name) = (Arc::clone(&stores), name.clone());
        async move { stores.serve_client(&name, stream).await }
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
    shared.apply(0, epoch, Posture::Hold { until: tick::now().plus(FAREWELL) });
    life.tasks.close();
    let _ = tokio::time::timeout(FAREWELL, life.tasks.wait()).await;
    life.kill.cancel();
    life.tasks.wait().await;
}
