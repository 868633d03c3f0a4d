//! How a connection gets to the active site's server, whatever it carries.

use super::{Port, Stores, To, Way};
use crate::gate::peer::client::TunnelError;
use crate::gate::peer::hello::Target;
use crate::gate::posture::Route;
use crate::gate::shared::{Kind, Pass};
use crate::gate::wire::Wire;
use crate::tick;
use mainstay_core::StoreName;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// Between two attempts of one connection.
const PAUSE: Duration = Duration::from_millis(10);

/// Why a connection came to nothing.
pub enum Failure {
    /// Try again as long as there is time.
    Again(String),
    /// The client left.
    Gone,
    Refused(Refusal),
}

/// What a client is told where its protocol has words for it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("MS-GATE-010: the database cannot be reached through the gate now: {0}")]
    NotNow(String),
    #[error("MS-GATE-011: too many connections are waiting at the gate already")]
    TooMany,
    #[error("MS-GATE-017: the server of store {store} does not answer: {error}")]
    Unreachable { store: StoreName, error: io::Error },
}

impl Stores {
    /// A connection to the active site's server that has been sent the `first` bytes.
    pub(super) async fn open(
        &self,
        to: To<'_>,
        client: &Wire,
        first: &[u8],
        deadline: Instant,
    ) -> Result<(Pass, Wire), Failure> {
        loop {
            let attempt = async {
                match to.way {
                    Way::Writer => self.open_writer(to, first, deadline).await,
                    Way::Reads => self.open_reader(to, first, deadline).await,
                }
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                () = client.gone() => Err(Failure::Gone),
            };
            match outcome {
                Err(Failure::Again(reason)) if Instant::now() >= deadline => {
                    return Err(Failure::Refused(Refusal::NotNow(reason)));
                }
                Err(Failure::Again(_)) => tokio::time::sleep(PAUSE).await,
                done => return done,
            }
        }
    }

    pub(super) async fn open_writer(
        &self,
        to: To<'_>,
        first: &[u8],
        deadline: Instant,
    ) -> Result<(Pass, Wire), Failure> {
        let pass = self.admit(deadline).await?;
        let server = self.dial(to.store, to.port, &pass, first, deadline).await?;
        Ok((pass, server))
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
                held = Some(place.ok_or(Failure::Refused(Refusal::TooMany))?);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                let reason = self.shared.standing().why_not(tick::now());
                return Err(Failure::Refused(Refusal::NotNow(reason)));
            }
        }
    }

    pub(super) async fn dial(
        &self,
        store: &StoreName,
        port: &Port,
        pass: &Pass,
        first: &[u8],
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        let mut server = match &pass.route {
            Route::Local => {
                let connected = self.connect(store, port).await;
                self.shared.counts.minute.connection(tick::now(), connected.is_err());
                connected.map_err(Failure::Refused)?
            }
            Route::Peer(_) => self.tunnel(store, pass, deadline).await?,
        };
        // Nothing of the client's session has left before this.
        let sent = async { server.write_all(first).await.and(server.flush().await) }.await;
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
        let _held = self.shared.hold(Kind::Tcp).ok_or(Failure::Refused(Refusal::TooMany))?;
        let again = |error: TunnelError| Failure::Again(error.to_string());
        let knock = self.peers.knock(site, pass.epoch, deadline).await.map_err(again)?;
        knock.open(Target::Store(store.clone()), deadline).await.map_err(again)
    }

    /// This site's own server, before any byte of a client.
    pub(super) async fn connect(&self, store: &StoreName, port: &Port) -> Result<Wire, Refusal> {
        let connected = port.server.connect().await;
        connected.map_err(|error| Refusal::Unreachable { store: store.clone(), error })
    }
}
