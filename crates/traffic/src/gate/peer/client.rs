//! The calling end of the tunnel.

use super::door::{Door, Turn};
use super::hello::{Answer, Hello, Target};
use super::tls;
use crate::gate::shared::Shared;
use crate::gate::socket;
use crate::gate::wire::Wire;
use crate::line;
use mainstay_core::{Epoch, SiteName};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// For the connection and the TLS handshake; the answer itself may take as long as a hold.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The gates of the other sites.
pub struct Peers {
    shared: Arc<Shared>,
    connector: TlsConnector,
    doors: BTreeMap<SiteName, Door>,
}

#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    #[error("site {site} does not take it: {reason}")]
    Refused { site: SiteName, reason: String },
    #[error("the gate of the active site cannot be reached: {0}")]
    Unreachable(String),
    #[error("the active site changed meanwhile")]
    Left,
    #[error("it was held too long")]
    TooLate,
    #[error("too many are waiting already")]
    TooManyHeld,
}

impl TunnelError {
    pub fn unreachable(error: impl std::fmt::Display) -> Self {
        TunnelError::Unreachable(error.to_string())
    }
}

/// A turn at the door of one site, at one epoch.
pub struct Knock<'a> {
    peers: &'a Peers,
    site: &'a SiteName,
    epoch: Epoch,
    turn: Turn<'a>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("doors", &self.doors).finish_non_exhaustive()
    }
}

impl Peers {
    pub fn new(shared: Arc<Shared>, connector: TlsConnector) -> Arc<Self> {
        let doors = shared.spec.peers.keys().map(|site| (site.clone(), Door::new())).collect();
        Arc::new(Self { shared, connector, doors })
    }

    /// Waits for a turn, as long as the posture leads to this site.
    pub async fn knock<'a>(
        &'a self,
        site: &'a SiteName,
        epoch: Epoch,
        deadline: Instant,
    ) -> Result<Knock<'a>, TunnelError> {
        tokio::select! {
            turn = self.turn(site) => Ok(Knock { peers: self, site, epoch, turn }),
            () = self.shared.until_left(site, epoch) => Err(TunnelError::Left),
            () = tokio::time::sleep_until(deadline) => Err(TunnelError::TooLate),
        }
    }

    /// A site without a gate never gives one.
    async fn turn(&self, site: &SiteName) -> Turn<'_> {
        match self.doors.get(site) {
            Some(door) => door.turn().await,
            None => std::future::pending().await,
        }
    }

    /// The site refused a request on a tunnel that was open.
    pub fn shut(&self, site: &SiteName) {
        if let Some(door) = self.doors.get(site) {
            door.shut();
        }
    }

    /// Whether the site's gate takes a connection now.
    pub async fn reaches(&self, site: &SiteName, timeout: Duration) -> bool {
        let reached = async {
            let mut stream = self.connect(site).await?;
            stream.shutdown().await
        };
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(())))
    }

    async fn connect(&self, site: &SiteName) -> io::Result<Wire> {
        let address = self.shared.spec.peers.get(site).ok_or(io::ErrorKind::NotFound)?;
        let name = tls::server_name(site).ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(address).await?;
        socket::prepare(&stream);
        let stream = self.connector.connect(name, stream).await?;
        Ok(Wire::tls(stream.into()))
    }
}

impl Knock<'_> {
    /// The site refused the last time, and this turn finds out whether it still does.
    pub fn is_trial(&self) -> bool {
        self.turn.is_trial()
    }

    /// Opens a tunnel to `to`. The other gate has agreed to the epoch when this returns.
    pub async fn open(self, to: Target, deadline: Instant) -> Result<Wire, TunnelError> {
        let outcome = tokio::select! {
            outcome = self.attempt(to) => outcome,
            () = self.peers.shared.until_left(self.site, self.epoch) => Err(TunnelError::Left),
            () = tokio::time::sleep_until(deadline) => Err(TunnelError::TooLate),
        };
        match &outcome {
            Ok(_) => self.turn.opened(),
            Err(TunnelError::Refused { .. } | TunnelError::Unreachable(_)) => self.turn.refused(),
            Err(_) => {}
        }
        outcome
    }

    async fn attempt(&self, to: Target) -> Result<Wire, TunnelError> {
        self.peers.attempt(self.site, self.epoch, to).await
    }
}

impl Peers {
    /// For what only reads: at once, or not at all.
    pub async fn open_reads(&self, site: &SiteName, epoch: Epoch) -> Result<Wire, TunnelError> {
        self.open_at_once(site, epoch, Target::Reads).await
    }

    pub async fn open_at_once(
        &self,
        site: &SiteName,
        epoch: Epoch,
        to: Target,
    ) -> Result<Wire, TunnelError> {
        let attempt = self.attempt(site, epoch, to);
        tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.map_err(TunnelError::unreachable)?
    }

    async fn attempt(
        &self,
        site: &SiteName,
        epoch: Epoch,
        to: Target,
    ) -> Result<Wire, TunnelError> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(site)).await;
        let mut stream =
            connected.map_err(TunnelError::unreachable)?.map_err(TunnelError::unreachable)?;
        let application = self.shared.spec.application.clone();
        let hello = Hello { application, epoch, to };
        line::write(&mut stream, &hello).await.map_err(TunnelError::unreachable)?;
        match line::read::<Answer, _>(&mut stream).await.map_err(TunnelError::unreachable)? {
            Some(Answer { ok: true, .. }) => Ok(stream),
            Some(Answer { reason, .. }) => {
                Err(TunnelError::Refused { site: site.clone(), reason: reason.unwrap_or_default() })
            }
            None => Err(TunnelError::unreachable("it hung up without an answer")),
        }
    }
}
