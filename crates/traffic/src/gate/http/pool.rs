//! Connections kept alive between requests.

use super::replay::Replay;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

pub type Sender = SendRequest<Replay>;

/// What a connection was made under: it is not used again under another (between gates, the
/// epoch and the connections cut).
pub type Tag = (u64, u64);

/// How long a connection whose answer was read may take to become ready again.
const SETTLE: Duration = Duration::from_millis(20);

/// Idle connections to one place, newest last.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    most: usize,
    /// Shorter than what the other side keeps, or requests meet a closing connection.
    keep: Duration,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    tag: Tag,
    sender: Sender,
}

/// A connection in use, with the way back into its pool.
#[derive(Debug)]
pub struct CheckIn {
    pub pool: Arc<Pool>,
    pub tag: Tag,
    pub sender: Sender,
}

impl CheckIn {
    pub fn check_in(self) {
        self.pool.put(self.tag, self.sender);
    }
}

impl Pool {
    pub fn new(most: usize, keep: Duration) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), most, keep })
    }

    pub async fn take(&self, tag: Tag) -> Option<Sender> {
        loop {
            let mut sender = self.pop(tag)?;
            let ready = tokio::time::timeout(SETTLE, sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    fn pop(&self, tag: Tag) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|one| one.tag == tag && one.since.elapsed() < self.keep);
        idle.pop_back().map(|one| one.sender)
    }

    fn put(&self, tag: Tag, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() == self.most {
            idle.pop_front();
        }
        idle.push_back(Idle { since: Instant::now(), tag, sender });
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Speaks HTTP/1.1 over a new connection.
pub async fn handshake<S>(stream: S) -> hyper::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.max_buf_size(256 * 1024).max_headers(200);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to an upstream ended");
        }
    });
    Ok(sender)
}
