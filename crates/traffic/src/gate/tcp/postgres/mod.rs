//! PostgreSQL connections, admitted at their start-up.

mod framer;
mod message;
mod session;
mod startup;
mod tracker;

use super::admission::Failure;
use super::server::CONNECT_TIMEOUT;
use super::{Port, Stores, To, Way, relay};
use crate::gate::certificate::Certificate;
use crate::gate::shared::{Kind, Pass};
use crate::gate::wire::Wire;
use mainstay_core::StoreName;
use message::Fatal;
use session::Session;
use startup::Startup;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The only application protocol that PostgreSQL's clients name (PostgreSQL manual, "SSL Session
/// Encryption"); one that begins with TLS at once must name it.
pub const PROTOCOL: &[u8] = b"postgresql";

impl Stores {
    pub(super) async fn serve_postgres(&self, to: To<'_>, stream: TcpStream) {
        let To { store, port, .. } = to;
        let start = start(stream, port.certificate.as_ref(), self.limits().head_time);
        // What begins a connection is large, and gone while it lasts.
        match Box::pin(port.starting.run(start)).await {
            Some(Ok((_, Startup::Cancel(packet)))) => self.cancel(to, &packet).await,
            Some(Ok((client, Startup::Session(packet)))) => self.begin(to, client, &packet).await,
            Some(Err(error)) => tracing::debug!(%store, %error, "a client did not start up"),
            None => tracing::debug!(%store, "a client said nothing, and others came"),
        }
    }

    pub(super) async fn serve_postgres_peer(
        &self,
        store: &StoreName,
        port: &Port,
        pass: Pass,
        mut peer: Wire,
    ) {
        let startup = startup::read(&mut peer);
        let startup = tokio::time::timeout(self.limits().head_time, startup).await;
        let startup = startup.map_err(io::Error::from).flatten();
        match (startup, self.connect(store, port).await) {
            (Ok(Startup::Session(packet)), Ok(mut server)) => {
                if server.write_all(&packet).await.is_ok() {
                    // Its age is counted at the gate that its client knows.
                    relay::run(&pass, peer, server, Session::started(), None).await;
                }
            }
            (Ok(Startup::Session(_)), Err(refusal)) => say(&mut peer, &Fatal::from(refusal)).await,
            (Ok(Startup::Cancel(packet)), Ok(server)) => deliver(server, &packet).await,
            (Ok(Startup::Cancel(_)), Err(error)) => {
                tracing::debug!(%store, %error, "a tunnel's cancel request went nowhere");
            }
            (Err(error), _) => {
                tracing::debug!(%store, %error, "a tunnel's connection did not start up");
            }
        }
    }

    async fn begin(&self, to: To<'_>, mut client: Wire, packet: &[u8]) {
        let deadline = Instant::now() + self.shared.spec.hold;
        match Box::pin(self.open(to, &client, packet, deadline)).await {
            Ok((pass, server)) => {
                let _counted = self.count_reader(to, &pass);
                relay::run(&pass, client, server, Session::started(), to.port.max_age).await;
            }
            Err(Failure::Refused(refusal)) => say(&mut client, &Fatal::from(refusal)).await,
            Err(Failure::Again(_) | Failure::Gone) => {}
        }
    }

    /// Goes where a new session would go, if there is such a place now; the server knows the
    /// session by the key in the packet. There is never an answer (PostgreSQL manual, "Canceling
    /// Requests in Progress").
    async fn cancel(&self, to: To<'_>, packet: &[u8]) {
        let To { store, way, port } = to;
        if way == Way::Reads {
            self.cancel_reader(store, port, packet).await;
        }
        let Some(pass) = self.shared.admit(Kind::Tcp) else { return };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        if let Ok(server) = self.dial(store, port, &pass, packet, deadline).await {
            finish(server).await;
        }
    }
}

impl Stores {
    /// Nobody remembers where the session of a reader was led: every server that it can be at is
    /// told, and those that do not know the key do nothing.
    async fn cancel_reader(&self, store: &StoreName, port: &Port, packet: &[u8]) {
        if let Ok(server) = self.connect(store, port).await {
            deliver(server, packet).await;
        }
        for site in self.shared.spec.peers.keys() {
            if let Ok(server) = self.read_at(store, site, packet).await {
                finish(server).await;
            }
        }
    }
}

/// The start-up of a client, which has so long for it.
async fn start(
    stream: TcpStream,
    certificate: Option<&Certificate>,
    patience: Duration,
) -> io::Result<(Wire, Startup)> {
    tokio::time::timeout(patience, startup::begin(stream, certificate, patience)).await?
}

/// To a client that does not get further. One that does not listen has left.
async fn say(client: &mut Wire, fatal: &Fatal) {
    let _ = relay::say(client, &fatal.encode()).await;
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
