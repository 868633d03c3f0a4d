//! The application's processes at this site that answer the same requests: the least loaded is
//! chosen, and one that fails is passed over for a while.

use super::pool::{CheckIn, Pool, Tag, handshake};
use super::sticky;
use mainstay_core::estate::GroupRules;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// After one failure; twice as long after each further one in a row.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// Sixteen times as long at most.
const MOST_DOUBLINGS: u32 = 4;
const MOST_IDLE: usize = 256;
/// Below what servers usually allow (gunicorn 2 s, uvicorn and Node.js 5 s): a request written
/// into a connection that its server is closing fails, and only safe ones can be repeated.
const IDLE: Duration = Duration::from_millis(1500);

/// Connections to upstreams are alike.
const ANY: Tag = (0, 0);

#[derive(Debug)]
pub struct Upstreams {
    pub rules: GroupRules,
    pub all: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
pub struct Upstream {
    pub address: String,
    /// How a client's cookie names it.
    mark: u32,
    pool: Arc<Pool>,
    load: AtomicUsize,
    began: Instant,
    /// Failures in a row.
    failures: AtomicU32,
    /// Milliseconds from the beginning.
    passed_over_until: AtomicU64,
    /// What the last checks say.
    unwell: AtomicBool,
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
    pub fn new(addresses: &[String], rules: GroupRules) -> Self {
        let all = addresses.iter().map(|address| Upstream::new(address)).collect();
        Self { rules, all, turn: AtomicUsize::new(0) }
    }

    /// A connection to the least loaded upstream that takes one, or to the one that the client was
    /// with. Nothing has been sent yet, so trying the next after a refusal is safe for every
    /// request.
    pub async fn connect(&self, wanted: Option<u32>) -> Option<(CheckIn, Load)> {
        let mut tried = Vec::new();
        while let Some(upstream) = self.choose(&tried, wanted) {
            let load = upstream.clone().take_load();
            match upstream.connect().await {
                Ok(connection) => return Some((connection, load)),
                Err(error) => upstream.pass_over(&error),
            }
            tried.push(upstream);
        }
        None
    }

    /// Those that fail come last: when all do, one of them is still tried.
    fn choose(&self, tried: &[Arc<Upstream>], wanted: Option<u32>) -> Option<Arc<Upstream>> {
        let turn = self.turn.fetch_add(1, Relaxed);
        let count = self.all.len();
        (0..count)
            .map(|step| &self.all[(turn + step) % count])
            .filter(|upstream| !tried.iter().any(|one| Arc::ptr_eq(one, upstream)))
            .min_by_key(|upstream| {
                let other = wanted.is_some_and(|mark| mark != upstream.mark);
                (upstream.fails(), other, upstream.load.load(Relaxed))
            })
            .cloned()
    }
}

impl Load {
    pub fn pass_over(&self, reason: &dyn std::fmt::Display) {
        self.0.pass_over(reason);
    }

    /// It answered.
    pub fn succeeded(&self) {
        if self.0.failures.load(Relaxed) > 0 {
            self.0.failures.store(0, Relaxed);
            self.0.passed_over_until.store(0, Relaxed);
        }
    }

    pub fn mark(&self) -> u32 {
        self.0.mark
    }
}

impl Upstream {
    fn new(address: &str) -> Arc<Self> {
        Arc::new(Self {
            address: address.to_owned(),
            mark: sticky::mark(address),
            pool: Pool::new(MOST_IDLE, IDLE),
            load: AtomicUsize::new(0),
            began: Instant::now(),
            failures: AtomicU32::new(0),
            passed_over_until: AtomicU64::new(0),
            unwell: AtomicBool::new(false),
        })
    }

    fn take_load(self: Arc<Self>) -> Load {
        self.load.fetch_add(1, Relaxed);
        Load(self)
    }

    fn fails(&self) -> bool {
        let until = self.passed_over_until.load(Relaxed);
        self.unwell.load(Relaxed) || (until > 0 && self.now() < until)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn pass_over(&self, reason: &dyn std::fmt::Display) {
        let before = self.failures.fetch_add(1, Relaxed).min(MOST_DOUBLINGS);
        let pause = PASSED_OVER * (1 << before);
        tracing::debug!(upstream = %self.address, %reason, ?pause, "passed over");
        let until = self.now().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(0));
        self.passed_over_until.store(until, Relaxed);
    }

    /// What the checks say; told once when it changes.
    pub fn found(&self, unwell: bool) {
        if self.unwell.swap(unwell, Relaxed) != unwell {
            let upstream = &self.address;
            match unwell {
                true => {
                    tracing::warn!(code = "MS-GATE-018", %upstream, "an upstream fails its checks")
                }
                false => tracing::info!(%upstream, "an upstream passes its checks again"),
            }
        }
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
