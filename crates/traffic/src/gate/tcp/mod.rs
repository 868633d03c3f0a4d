//! The TCP side of the gate: PostgreSQL connections, admitted at their start-up.

mod framer;
mod message;
mod relay;
mod server;
mod startup;
mod tracker;

use super::error::GateError;
use super::peer::client::{Peers, TunnelError};
use super::peer::hello::Target;
use super::posture::Route;
use super::shared::{Kind, Pass, Shared};
use super::spec::{GateSpec, Limits};
use super::wire::Wire;
use crate::tick;
use mainstay_core::StoreName;
use message::Fatal;
use server::{CONNECT_TIMEOUT, Server};
use startup::Startup;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Between two attempts of one start-up.
const PAUSE: Duration = Duration::from_millis(10);

/// The gate's ports for stores.
pub struct Stores {
    shared: Arc<Shared>,
    peers: Arc<Peers>,
    servers: Servers,
}

/// This site's server of each store.
pub struct Servers(BTreeMap<StoreName, Server>);

impl Servers {
    pub fn new(spec: &GateSpec) -> Result<Self, GateError> {
        let servers = spec.stores.iter();
        let servers = servers.map(|(name, store)| Ok((name.clone(), Server::new(store)?)));
        Ok(Self(servers.collect::<Result<_, _>>()?))
    }
}

/// Why a start-up came to nothing.
enum Failure {
    /// Try again as long as there is time.
    Again(String),
    /// The client left.
    Gone,
    Refused(Fatal),
}

impl Stores {
    pub fn new(shared: Arc<Shared>, peers: Arc<Peers>, servers: Servers) -> Arc<Self> {
        Arc::new(Self { shared, peers, servers })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.spec.limits
    }

    /// One connection of a client, from its start-up to its end.
    pub async fn serve_client(&self, store: &StoreName, stream: TcpStream) {
        let mut client = Wire::Plain(stream);
        match self.read_startup(&mut client).await {
            Ok(Startup::Cancel(packet)) => self.cancel(store, &packet).await,
            Ok(Startup::Session(packet)) => self.begin(store, client, &packet).await,
            Err(error) => tracing::debug!(%store, %error, "a client did not start up"),
        }
    }

    /// One connection that another gate passes on, already admitted.
    pub async fn serve_peer(&self, store: &StoreName, pass: Pass, mut peer: Wire) {
        let startup = self.read_startup(&mut peer).await;
        match (startup, self.connect(store).await) {
            (Ok(Startup::Session(packet)), Ok(mut server)) => {
                if server.write_all(&packet).await.is_ok() {
                    relay::run(&pass, peer, server).await;
                }
            }
            (Ok(Startup::Session(_)), Err(error)) => {
                let _ = relay::say(&mut peer, &unreachable(store, &error)).await;
            }
            (Ok(Startup::Cancel(packet)), Ok(server)) => deliver(server, &packet).await,
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%store, %error, "a tunnel's connection did not start up");
            }
        }
    }

    async fn read_startup(&self, stream: &mut Wire) -> io::Result<Startup> {
        tokio::time::timeout(self.shared.spec.limits.head_time, startup::read(stream)).await?
    }

    async fn begin(&self, store: &StoreName, mut client: Wire, packet: &[u8]) {
        let deadline = Instant::now() + self.shared.spec.hold;
        match self.open(store, &mut client, packet, deadline).await {
            Ok((pass, server)) => relay::run(&pass, client, server).await,
            Err(Failure::Refused(fatal)) => {
                let _ = relay::say(&mut client, &fatal).await;
            }
            Err(Failure::Again(_) | Failure::Gone) => {}
        }
    }

    /// A connection to the active site's server that has been sent the start-up packet.
    async fn open(
        &self,
        store: &StoreName,
        client: &mut Wire,
        packet: &[u8],
        deadline: Instant,
    ) -> Result<(Pass, Wire), Failure> {
        loop {
            let attempt = async {
                let pass = self.admit(deadline).await?;
                let server = self.dial(store, &pass, packet, deadline).await?;
                Ok((pass, server))
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                () = gone(client) => Err(Failure::Gone),
            };
            match outcome {
                Err(Failure::Again(reason)) if Instant::now() >= deadline => {
                    return Err(Failure::Refused(Fatal::not_now("MS-GATE-010", &reason)));
                }
                Err(Failure::Again(_)) => tokio::time::sleep(PAUSE).await,
                done => return done,
            }
        }
    }

    async fn admit(&self, deadline: Instant) -> Result<Pass, Failure> {
        let mut changes = self.shared.watch();
        let mut held = None;
        loop {
            if let Some(pass) = self.shared.admit(Kind::Tcp) {
                return Ok(pass);
            }
            if held.is_none() {
                let place = self.shared.hold(Kind::Tcp);
                held = Some(place.ok_or_else(|| Failure::Refused(Fatal::too_many()))?);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                let reason = self.shared.standing().why_not(tick::now());
                return Err(Failure::Refused(Fatal::not_now("MS-GATE-010", &reason)));
            }
        }
    }

    async fn dial(
        &self,
        store: &StoreName,
        pass: &Pass,
        packet: &[u8],
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        let mut server = match &pass.route {
            Route::Local => {
                let connected = self.connect(store).await;
                self.shared.counts.minute.connection(tick::now(), connected.is_err());
                connected.map_err(|error| Failure::Refused(unreachable(store, &error)))?
            }
            Route::Peer(_) => self.tunnel(store, pass, deadline).await?,
        };
        // Nothing of the client's session has left before this.
        let sent = async { server.write_all(packet).await.and(server.flush().await) }.await;
        sent.map_err(|error| Failure::Again(error.to_string()))?;
        Ok(server)
    }

    async fn tunnel(
        &self,
        store: &StoreName,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        let Route::Peer(site) = &pass.route else { return Err(Failure::Gone) };
        let too_many = || Failure::Refused(Fatal::too_many());
        let _held = self.shared.hold(Kind::Tcp).ok_or_else(too_many)?;
        let again = |error: TunnelError| Failure::Again(error.to_string());
        let knock = self.peers.knock(site, pass.epoch, deadline).await.map_err(again)?;
        knock.open(Target::Store(store.clone()), deadline).await.map_err(again)
    }

    async fn connect(&self, store: &StoreName) -> io::Result<Wire> {
        let server = self.servers.0.get(store).ok_or(io::ErrorKind::NotFound)?;
        server.connect().await
    }

    /// Goes where a new session would go, if there is such a place now; the server knows the
    /// session by the key in the packet. There is never an answer (PostgreSQL manual, "Canceling
    /// Requests in Progress").
    async fn cancel(&self, store: &StoreName, packet: &[u8]) {
        let Some(pass) = self.shared.admit(Kind::Tcp) else { return };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        if let Ok(server) = self.dial(store, &pass, packet, deadline).await {
            finish(server).await;
        }
    }
}

async fn deliver(mut server: Wire, packet: &[u8]) {
    if server.write_all(packet).await.is_ok() {
        finish(server).await;
    }
}

/// The server closes once it has acted: the client may rely on that.
async fn finish(mut server: Wire) {
    let _ = server.flush().await;
    let _ = tokio::time::timeout(CONNECT_TIMEOUT, server.read(&mut [0; 1])).await;
}

/// Before it is answered a client only waits, or leaves.
async fn gone(client: &mut Wire) {
    let _ = client.read(&mut [0; 1]).await;
}

fn unreachable(store: &StoreName, error: &io::Error) -> Fatal {
    Fatal::not_now("MS-GATE-017", &format!("the server of store {store} does not answer: {error}"))
}
