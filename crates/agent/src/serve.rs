//! Serving a router over mutual TLS to the other agents, and over a Unix socket to the people of
//! this machine.

use crate::error::AgentError;
use crate::peer::tls::{Identity, site_of};
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mainstay_core::SiteName;
use nix::unistd::{Uid, User};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A peer has to say who it is, and what it wants, within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 256;

/// The site whose certificate the other end of this connection showed.
#[derive(Debug, Clone)]
pub struct Caller(pub SiteName);

/// The user of the other end of a connection to the Unix socket, as the kernel tells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Person {
    uid: Option<u32>,
}

impl Person {
    /// The user's name; the number of one without a name.
    pub async fn name(self) -> String {
        let Some(uid) = self.uid else { return "unknown".to_owned() };
        // The name may come over the network.
        let user = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid))).await;
        user.ok().and_then(Result::ok).flatten().map_or_else(|| uid.to_string(), |user| user.name)
    }
}

pub async fn listen(address: &str) -> Result<TcpListener, AgentError> {
    let listen = |why| AgentError::Listen { address: address.to_owned(), why };
    TcpListener::bind(address).await.map_err(listen)
}

pub fn listen_unix(path: &Path) -> Result<UnixListener, AgentError> {
    let failed = |why| AgentError::Listen { address: path.display().to_string(), why };
    if let Err(why) = std::fs::remove_file(path)
        && why.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(why));
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

pub async fn peers(
    listener: TcpListener,
    identity: Arc<Identity>,
    known: Vec<SiteName>,
    router: Router,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let known = Arc::new(known);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, from)) = accepted else { continue };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (identity, known, router) = (identity.clone(), known.clone(), router.clone());
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let _place = place;
            match tokio::time::timeout(PATIENCE, accept_tls(tcp, &identity, &known)).await {
                Ok(Ok((stream, caller))) => {
                    serve_one(stream, router.layer(Extension(caller)), shutdown).await;
                }
                Ok(Err(why)) => tracing::warn!(%from, why, "refused a connection"),
                Err(_) => tracing::warn!(%from, "refused a connection that did not say who it is"),
            }
        });
    }
}

async fn accept_tls(
    tcp: TcpStream,
    identity: &Identity,
    known: &[SiteName],
) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Caller), String> {
    tcp.set_nodelay(true).map_err(|e| e.to_string())?;
    let acceptor = TlsAcceptor::from(identity.server.clone());
    let stream = acceptor.accept(tcp).await.map_err(|e| e.to_string())?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = certificate
        .and_then(|certificate| site_of(certificate, known))
        .ok_or("its certificate names no site of the configuration")?;
    Ok((stream, Caller(caller)))
}

pub async fn people(listener: UnixListener, router: Router, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let person = Person { uid: stream.peer_cred().ok().map(|cred| cred.uid()) };
        let router = router.clone().layer(Extension(person));
        tokio::spawn(serve_one(stream, router, shutdown.clone()));
    }
}

async fn serve_one<S>(stream: S, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Some(Duration::from_secs(60)))
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = shutdown.cancelled() => {}
        ended = connection => if let Err(why) = ended {
            tracing::debug!(%why, "a connection to the agent ended early");
        }
    }
}
