//! Connections of which the gate knows nothing but bytes: Redis, MySQL, or a database whose
//! encryption passes through. What it says itself, it says before the first of them.

use super::admission::{Failure, Refusal};
use super::relay::{LAST_WORDS, Moment, Talk};
use super::{End, Port, Stores, To, relay};
use crate::gate::shared::Pass;
use crate::gate::spec::Protocol;
use crate::gate::wire::Wire;
use mainstay_core::StoreName;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A server that has answered and a client that says nothing more for this long are between two
/// requests, as far as bytes tell.
const QUIET: Duration = Duration::from_millis(100);
/// A drain does not wait longer for an answer: the client may wait for one that never comes (a
/// subscription, a blocking command).
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Bytes {
    /// When something passed last.
    last: Instant,
    /// The client has said something that the server did not say anything to.
    asked: bool,
}

impl Bytes {
    pub fn new() -> Self {
        Self { last: Instant::now(), asked: false }
    }

    fn pass(&mut self, asked: bool) {
        *self = Self { last: Instant::now(), asked };
    }
}

impl Talk for Bytes {
    const HALF_CLOSES: bool = true;

    fn client_sends(&mut self, _: &[u8]) -> Result<(), End> {
        self.pass(true);
        Ok(())
    }

    fn server_sends(&mut self, _: &[u8]) -> Result<(), End> {
        self.pass(false);
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.asked
    }

    fn moment(&self, began: Option<Instant>) -> Moment {
        let quiet = Some(self.last + QUIET).filter(|_| !self.asked);
        let longest = began.map(|began| began + LONGEST);
        quiet.into_iter().chain(longest).min().map_or(Moment::Later, Moment::At)
    }

    fn may_end(&self) -> bool {
        true
    }

    fn last_words(&self, _: End) -> Option<Vec<u8>> {
        None
    }
}

/// As a Redis server says that still reads its data: clients come again. What the client says before
/// it has read that is read too, because a reset could overtake it.
async fn loading(mut client: Wire, refusal: &Refusal) {
    let line = refusal.to_string().replace(['\r', '\n'], " ");
    if relay::say(&mut client, format!("-LOADING {line}\r\n").as_bytes()).await.is_err() {
        return;
    }
    let rest = async {
        let mut scratch = [0; 1024];
        while let Ok(1..) = client.read(&mut scratch).await {}
    };
    // One that neither reads nor leaves is not waited for.
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
}

impl Stores {
    pub(super) async fn serve_plain(&self, to: To<'_>, stream: TcpStream) {
        let To { store, port, .. } = to;
        // What begins a connection is large, and gone while it lasts.
        let Some(client) = Box::pin(self.encrypt(store, port, stream)).await else { return };
        let deadline = Instant::now() + self.shared.spec.hold;
        match Box::pin(self.open(to, &client, &[], deadline)).await {
            Ok((pass, server)) => {
                let _counted = self.count_reader(to, &pass);
                relay::run(&pass, client, server, Bytes::new(), port.max_age).await;
            }
            Err(Failure::Refused(refusal)) => {
                tracing::debug!(%store, %refusal, "a connection is refused");
                match port.protocol {
                    Protocol::Redis => loading(client, &refusal).await,
                    // A reset cannot be taken for an answer.
                    Protocol::Plain | Protocol::Postgres => client.reset(),
                }
            }
            Err(Failure::Again(_) | Failure::Gone) => client.reset(),
        }
    }

    async fn encrypt(&self, store: &StoreName, port: &Port, stream: TcpStream) -> Option<Wire> {
        let Some(certificate) = &port.certificate else { return Some(Wire::Plain(stream)) };
        let handshake = certificate.accept(stream, self.limits().head_time);
        match port.starting.run(handshake).await? {
            Ok(stream) => Some(Wire::tls(stream.into())),
            Err(error) => {
                tracing::debug!(%store, %error, "a client's TLS handshake failed");
                None
            }
        }
    }

    pub(super) async fn serve_plain_peer(
        &self,
        store: &StoreName,
        port: &Port,
        pass: Pass,
        peer: Wire,
    ) {
        match self.connect(store, port).await {
            // Its age is counted at the gate that its client knows.
            Ok(server) => relay::run(&pass, peer, server, Bytes::new(), None).await,
            Err(refusal) => {
                tracing::debug!(%store, %refusal, "a tunnel's connection is refused");
                peer.reset();
            }
        }
    }
}
