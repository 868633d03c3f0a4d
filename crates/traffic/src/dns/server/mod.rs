//! Mainstay's own DNS server: it answers for zones that were delegated to it, from what this site's
//! gate was last told. It runs in the gate's process, so it goes on when the agent does not.
//!
//! Invariant: an answer is never one of an older epoch than one given before, also over a restart.
//! Invariant: a name never answers with nothing. When nothing is heard the last answer stays, and
//! before anything was ever heard the answer is SERVFAIL, with which resolvers ask another server.

mod answer;
mod denial;
mod file;
mod keys;
mod known;
mod limiter;
mod policy;
mod records;
mod sign;
mod spec;
mod tcp;
mod udp;
mod zone;

pub use keys::SigningKey;
pub use known::Active;
pub use spec::ServerSpec;

use super::{DnsError, unix_seconds};
use file::AnswersFile;
use known::Known;
use limiter::Limiter;
use mainstay_core::ApplicationName;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use zone::Zones;

/// How long the ports of a process that this one replaces may still be taken.
const HANDED_OVER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What one application's gate was told last.
pub type Told = watch::Receiver<Option<Active>>;

/// What every socket answers from.
#[derive(Debug, Clone)]
struct Desk {
    zones: Arc<Zones>,
    known: watch::Receiver<Arc<Known>>,
}

/// Answers until `shutdown`.
pub async fn run(
    spec: ServerSpec,
    told: Vec<(ApplicationName, Told)>,
    shutdown: CancellationToken,
) -> Result<(), DnsError> {
    let file = AnswersFile::new(&spec.state_dir);
    let kept = file.read().unwrap_or_else(|error| {
        let path = file.path();
        tracing::error!(code = "MS-DNS-011", path = %path.display(), %error, "the answers before the restart cannot be read");
        Known::default()
    });
    let (known, seen) = watch::channel(Arc::new(kept));
    let desk = Desk { zones: Arc::new(spec.zones), known: seen };
    let mut threads = Vec::new();
    for address in &spec.listen {
        threads.extend(open(*address, &desk, &shutdown).await?);
    }
    let addresses: Vec<String> = spec.listen.iter().map(ToString::to_string).collect();
    tracing::info!(addresses = addresses.join(", "), "the DNS server is up");
    shutdown.run_until_cancelled(follow(told, &known, &file)).await;
    shutdown.cancelled().await;
    // So that the ports are free again.
    let ended = tokio::task::spawn_blocking(|| threads.into_iter().all(|it| it.join().is_ok()));
    if !ended.await.is_ok_and(|well| well) {
        tracing::error!("a thread of the DNS server has panicked");
    }
    Ok(())
}

/// TCP first: its port is never shared, so another server that has it is found out.
async fn open(
    address: SocketAddr,
    desk: &Desk,
    shutdown: &CancellationToken,
) -> Result<Vec<std::thread::JoinHandle<()>>, DnsError> {
    let refused = |source: std::io::Error| DnsError::Listen { address, why: source.to_string() };
    let listener = bind(address).await.map_err(refused)?;
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(tcp::serve(listener, desk.clone())));
    let cores = available_parallelism().map_or(1, usize::from).min(udp::MOST_THREADS);
    let sockets: Result<Vec<_>, _> = (0..cores).map(|_| udp::bind(address)).collect();
    let limiter = Arc::new(Limiter::new());
    let thread = |socket| {
        let (desk, limiter, shutdown) = (desk.clone(), limiter.clone(), shutdown.clone());
        let named = std::thread::Builder::new().name("dns".to_owned());
        named.spawn(move || udp::serve(&socket, desk, limiter, &shutdown))
    };
    sockets.map_err(refused)?.into_iter().map(thread).collect::<Result<_, _>>().map_err(refused)
}

/// A process that hands its gates over to this one gives its ports back a moment later.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let ends = Instant::now() + HANDED_OVER;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < ends => {
                tokio::time::sleep(PAUSE).await;
            }
            bound => return bound,
        }
    }
}

/// Takes in what the gates are told. What is answered is on disk before.
async fn follow(
    told: Vec<(ApplicationName, Told)>,
    known: &watch::Sender<Arc<Known>>,
    file: &AnswersFile,
) {
    let (news, mut heard) = mpsc::channel(8);
    for (application, mut told) in told {
        let news = news.clone();
        tokio::spawn(async move {
            told.mark_changed();
            while told.changed().await.is_ok() {
                let newest = told.borrow_and_update().clone();
                let Some(active) = newest else { continue };
                if news.send((application.clone(), active)).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(news);
    while let Some((application, active)) = heard.recv().await {
        let mut next = Known::clone(&known.borrow());
        if !next.take(&application, active) {
            continue;
        }
        // A name that follows and is forgotten at a restart is better than one that stays behind.
        let (kept, keeper) = (next.clone(), file.clone());
        let replaced = tokio::task::spawn_blocking(move || keeper.replace(&kept)).await;
        if let Err(error) = replaced.map_err(std::io::Error::other).flatten() {
            let path = file.path();
            tracing::error!(code = "MS-DNS-011", path = %path.display(), %error, "the answers cannot be kept");
        }
        known.send_replace(Arc::new(next));
    }
}
