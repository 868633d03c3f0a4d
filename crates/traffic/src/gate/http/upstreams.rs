//! The application's processes at this site: the least loaded is chosen, and one that fails is
//! passed over for a moment.

use super::pool::{CheckIn, Pool, Tag, handshake};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const PASSED_OVER: Duration = Duration::from_secs(1);
const MOST_IDLE: usize = 256;
/// Below what servers usually allow (gunicorn 2 s, uvicorn and Node.js 5 s): a request written
/// into a connection that its server is closing fails, and only safe ones can be repeated.
const IDLE: Duration = Duration::from_millis(1500);

/// Connections to upstreams are alike.
const ANY: Tag = (0, 0);

#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
pub struct Upstream {
    address: String,
    pool: Arc<Pool>,
    load: AtomicUsize,
    passed_over_until: Mutex<Option<Instant>>,
}

/// One request's share of an upstream's load.
#[derive(Debug)]
pub struct Load(Arc<Upstream>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
    }
}

impl Upstreams {
    pub fn new(addresses: &[String]) -> Self {
        Self {
            all: addresses.iter().map(|address| Upstream::new(address)).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// A connection to the least loaded upstream that takes one. Nothing has been sent yet, so
    /// trying the next after a refusal is safe for every request.
    pub async fn connect(&self) -> Option<(CheckIn, Load)> {
        let mut tried = Vec::new();
        while let Some(upstream) = self.choose(&tried) {
            let load = upstream.clone().take_load();
            match upstream.connect().await {
                Ok(connection) => return Some((connection, load)),
                Err(error) => upstream.pass_over(&error),
            }
            tried.push(upstream);
        }
        None
    }

    /// Those passed over come last: when all are, one of them is still tried.
    fn choose(&self, tried: &[Arc<Upstream>]) -> Option<Arc<Upstream>> {
        let turn = self.turn.fetch_add(1, Relaxed);
        let count = self.all.len();
        (0..count)
            .map(|step| &self.all[(turn + step) % count])
            .filter(|upstream| !tried.iter().any(|one| Arc::ptr_eq(one, upstream)))
            .min_by_key(|upstream| (upstream.is_passed_over(), upstream.load.load(Relaxed)))
            .cloned()
    }
}

impl Load {
    pub fn pass_over(&self, reason: &dyn std::fmt::Display) {
        self.0.pass_over(reason);
    }
}

impl Upstream {
    fn new(address: &str) -> Arc<Self> {
        Arc::new(Self {
            address: address.to_owned(),
            pool: Pool::new(MOST_IDLE, IDLE),
            load: AtomicUsize::new(0),
            passed_over_until: Mutex::new(None),
        })
    }

    fn take_load(self: Arc<Self>) -> Load {
        self.load.fetch_add(1, Relaxed);
        Load(self)
    }

    fn is_passed_over(&self) -> bool {
        let until = *self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn pass_over(&self, reason: &dyn std::fmt::Display) {
        tracing::debug!(upstream = %self.address, %reason, "passed over for a second");
        let until = Instant::now() + PASSED_OVER;
        *self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    async fn connect(&self) -> io::Result<CheckIn> {
        let pool = Arc::clone(&self.pool);
        if let Some(sender) = pool.take(ANY).await {
            return Ok(CheckIn { pool, tag: ANY, sender });
        }
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address));
        let stream = dialled.await??;
        stream.set_nodelay(true)?;
        let sender = handshake(stream).await.map_err(io::Error::other)?;
        Ok(CheckIn { pool, tag: ANY, sender })
    }
}
