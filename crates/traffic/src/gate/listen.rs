//! Ports: all are bound before anything is served.

use super::error::GateError;
use super::spec::GateSpec;
use mainstay_core::StoreName;
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
    pub peer: TcpListener,
}

impl Listeners {
    pub async fn bind(spec: &GateSpec) -> Result<Self, GateError> {
        let gate = format!("applications.{}.gates.{}", spec.application, spec.here);
        let http = match &spec.http {
            Some(http) => {
                Some(bind(http.listen, format!("HTTP listener ({gate}.http.listen)")).await?)
            }
            None => None,
        };
        let mut stores = Vec::new();
        for (name, store) in &spec.stores {
            let listener = format!("listener of store {name} ({gate}.stores.{name})");
            stores.push((name.clone(), bind(store.listen, listener).await?));
        }
        let listener = format!("listener for the other sites' gates ({gate}.peer_listen)");
        let peer = bind(spec.peer_listen, listener).await?;
        Ok(Self { http, stores, peer })
    }
}

async fn bind(address: SocketAddr, listener: String) -> Result<TcpListener, GateError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| GateError::Bind { address, listener, source })
}

/// How the tasks of a gate end.
#[derive(Debug, Clone)]
pub struct Life {
    pub tasks: TaskTracker,
    /// No new connections; those there are come to an end.
    pub shutdown: CancellationToken,
    /// Now.
    pub kill: CancellationToken,
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
        let Some((place, accepted)) = life.shutdown.run_until_cancelled(next).await else { return };
        match accepted {
            Ok((stream, from)) => {
                // A failure to set an option shows when the stream is used.
                let _ = stream.set_nodelay(true);
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
