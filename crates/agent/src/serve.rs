//! Serving a router over mutual TLS to the other agents, over a Unix socket to the people of this
//! machine, and over TLS to people elsewhere.

use crate::error::AgentError;
use crate::peer::tls::{Identity, site_of};
use crate::people::register::Credentials;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mainstay_core::SiteName;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Group, chown};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// A peer has to say who it is, and what it wants, within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an agent, or somebody on this machine, may keep a connection without a request.
const IDLE: Duration = Duration::from_secs(60);
/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 256;

/// The site whose certificate the other end of this connection showed.
#[derive(Debug, Clone)]
pub struct Caller(pub SiteName);

pub async fn listen(address: &str) -> Result<TcpListener, AgentError> {
    let listen = |why| AgentError::Listen { address: address.to_owned(), why };
    TcpListener::bind(address).await.map_err(listen)
}

/// Only its owner can open it, or else the members of a group as well.
pub fn listen_unix(path: &Path, group: Option<&str>) -> Result<UnixListener, AgentError> {
    let failed = |why| AgentError::Listen { address: path.display().to_string(), why };
    if let Err(why) = std::fs::remove_file(path)
        && why.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(why));
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let mode = match group {
        Some(name) => {
            give_to(path, name)?;
            0o660
        }
        None => 0o600,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
}

/// What else is written from here on is the owner's alone: whoever may enter the folder for the
/// socket must not find there what the role does not show.
pub fn keep_to_owner() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Its members may also enter the folder, without seeing what is in it.
fn give_to(path: &Path, group: &str) -> Result<(), AgentError> {
    let people = |why: String| AgentError::People { why };
    let found =
        Group::from_name(group).map_err(|why| people(format!("the group {group}: {why}")))?;
    let found = found.ok_or_else(|| people(format!("there is no Unix group {group} here")))?;
    let folder = path.parent().unwrap_or(path);
    for given in [folder, path] {
        chown(given, None, Some(found.gid))
            .map_err(|why| people(format!("{} to the group {group}: {why}", given.display())))?;
    }
    let entered = std::fs::metadata(folder).and_then(|it| {
        let mode = it.permissions().mode() | 0o010;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
    });
    entered.map_err(|why| people(format!("{}: {why}", folder.display())))
}

/// What the end of a connection showed, as the router is to know it.
type Admit = dyn Fn(Option<&CertificateDer<'static>>) -> Result<Router, String> + Send + Sync;

/// The other agents: each shows the certificate of a site.
pub async fn peers(
    listener: TcpListener,
    identity: Arc<Identity>,
    known: Vec<SiteName>,
    router: Router,
    shutdown: CancellationToken,
) {
    let admit = move |certificate: Option<&CertificateDer<'static>>| {
        let caller = certificate.and_then(|certificate| site_of(certificate, &known));
        let caller = caller.ok_or("its certificate names no site of the configuration")?;
        Ok(router.clone().layer(Extension(Caller(caller))))
    };
    over_tls(listener, identity.server.clone(), Arc::new(admit), IDLE, shutdown).await;
}

/// People who come over the network: a certificate is theirs, or there is none.
pub async fn visitors(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    shutdown: CancellationToken,
) {
    let admit = move |certificate: Option<&CertificateDer<'static>>| {
        Ok(router.clone().layer(Extension(Credentials::Network(certificate.cloned()))))
    };
    over_tls(listener, tls, Arc::new(admit), PATIENCE, shutdown).await;
}

async fn over_tls(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    admit: Arc<Admit>,
    idle: Duration,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, from)) = accepted else { continue };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (tls, admit, shutdown) = (tls.clone(), admit.clone(), shutdown.clone());
        tokio::spawn(async move {
            let _place = place;
            match tokio::time::timeout(PATIENCE, accept_tls(tcp, tls, &*admit)).await {
                Ok(Ok((stream, router))) => serve_one(stream, router, idle, shutdown).await,
                Ok(Err(why)) => tracing::warn!(%from, why, "refused a connection"),
                Err(_) => tracing::warn!(%from, "refused a connection that did not say who it is"),
            }
        });
    }
}

async fn accept_tls(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    admit: &Admit,
) -> Result<(TlsStream<TcpStream>, Router), String> {
    tcp.set_nodelay(true).map_err(|e| e.to_string())?;
    let stream = TlsAcceptor::from(tls).accept(tcp).await.map_err(|e| e.to_string())?;
    let router = admit(stream.get_ref().1.peer_certificates().and_then(<[_]>::first))?;
    Ok((stream, router))
}

/// The people of this machine.
pub async fn people(listener: UnixListener, router: Router, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let user = Credentials::User(stream.peer_cred().ok().map(|cred| cred.uid()));
        let router = router.clone().layer(Extension(user));
        tokio::spawn(serve_one(stream, router, IDLE, shutdown.clone()));
    }
}

async fn serve_one<S>(stream: S, router: Router, idle: Duration, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Some(idle))
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = shutdown.cancelled() => {}
        ended = connection => if let Err(why) = ended {
            tracing::debug!(%why, "a connection to the agent ended early");
        }
    }
}
