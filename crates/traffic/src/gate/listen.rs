//! Ports: all are bound before anything is served.

use super::error::GateError;
use super::handover::Elder;
use super::socket;
use super::spec::GateSpec;
use mainstay_core::StoreName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct Listeners {
    pub http: Option<TcpListener>,
    pub stores: Vec<(StoreName, TcpListener)>,
    /// For those that only read.
    pub reads: Vec<(StoreName, TcpListener)>,
    pub peer: TcpListener,
    /// The same sockets, for the gate that comes after this one.
    pub to_hand_over: Vec<std::net::TcpListener>,
}

impl Listeners {
    /// Ports that the gate before this one has are its sockets, with who waits in them.
    pub fn bind(spec: &GateSpec, elder: &mut Option<Elder>) -> Result<Self, GateError> {
        let mut binder = Binder { elder, bound: Vec::new() };
        let gate = format!("applications.{}.gates.{}", spec.application, spec.here);
        let http = spec
            .http
            .as_ref()
            .map(|http| binder.bind(http.listen, format!("HTTP listener ({gate}.http.listen)")));
        let (mut stores, mut reads) = (Vec::new(), Vec::new());
        for (name, store) in &spec.stores {
            let listener = format!("listener of store {name} ({gate}.stores.{name})");
            stores.push((name.clone(), binder.bind(store.listen, listener)?));
            if let Some(address) = store.reads {
                let listener = format!("listener for reads of store {name} ({gate}.reads.{name})");
                reads.push((name.clone(), binder.bind(address, listener)?));
            }
        }
        let listener = format!("listener for the other sites' gates ({gate}.peer_listen)");
        let peer = binder.bind(spec.peer_listen, listener)?;
        Ok(Self { http: http.transpose()?, stores, reads, peer, to_hand_over: binder.bound })
    }
}

/// The kernel's queue of connections that nobody has accepted yet, as tokio would have it.
const BACKLOG: i32 = 1024;

struct Binder<'a> {
    elder: &'a mut Option<Elder>,
    bound: Vec<std::net::TcpListener>,
}

impl Binder<'_> {
    fn bind(&mut self, address: SocketAddr, listener: String) -> Result<TcpListener, GateError> {
        let bound = self.socket(address);
        bound.map_err(|source| GateError::Bind { address, listener, source })
    }

    fn socket(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let handed = self.elder.as_mut().and_then(|elder| elder.socket(address));
        let socket = match handed {
            Some(socket) => socket,
            None => listen(address)?,
        };
        socket.set_nonblocking(true)?;
        self.bound.push(socket.try_clone()?);
        TcpListener::from_std(socket)
    }
}

/// A port whose last owner's connections still end is free (SO_REUSEADDR).
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// How the tasks of a gate end.
#[derive(Debug, Clone)]
pub struct Life {
    pub tasks: TaskTracker,
    /// No new connections; those there are come to an end.
    pub shutdown: CancellationToken,
    /// No new connections; those there are go on until they end: a younger gate has the ports.
    pub retired: CancellationToken,
    /// Now.
    pub kill: CancellationToken,
}

impl Life {
    pub fn new(shutdown: &CancellationToken, retired: CancellationToken) -> Self {
        Self {
            tasks: TaskTracker::new(),
            // The younger gate's end ends this gate, and not others of the process.
            shutdown: shutdown.child_token(),
            retired,
            kill: CancellationToken::new(),
        }
    }
}

/// Accepts until shutdown. At most `most` connections are open at a time; more wait in the
/// kernel's queue.
pub async fn accept<F>(
    listener: TcpListener,
    most: usize,
    life: Life,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = life.shutdown.cancelled() => return,
            () = life.retired.cancelled() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                socket::prepare(&stream);
                let served = serve(stream, from);
                let kill = life.kill.clone();
                life.tasks.spawn(async move {
                    let _place = place;
                    kill.run_until_cancelled(served).await;
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: some will be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
