//! What the parts of one link and its handle share.

use super::LinkSpec;
use super::failure::{LinkError, Verdict};
use super::lag::LagMeter;
use mainstay_core::position::ReplicationOffset;
use mainstay_core::{Lag, LinkPhase, LinkStatus, Position, Retained};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// What the holder of the link wants of the applier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Apply nothing more for now.
    pub hold: bool,
    /// Apply everything up to here before that, and nothing later.
    pub until: Option<ReplicationOffset>,
    pub stop: bool,
}

impl Wish {
    /// Nothing more is to be applied after `at`.
    pub fn holds_at(&self, at: ReplicationOffset) -> bool {
        self.hold && self.until.is_none_or(|until| at >= until)
    }

    /// Where the applier must not pass, when it is still before it.
    pub fn limit(&self) -> Option<ReplicationOffset> {
        self.until.filter(|_| self.hold)
    }
}

/// What the applier has done, for those who wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub applied: Option<ReplicationOffset>,
    /// Nothing that was received waits to be applied.
    pub idle: bool,
    /// It stands still because it was asked to.
    pub held: bool,
}

/// What is known of the target's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// All that the source had then is there.
    pub at: Instant,
    /// In this run of the target's server.
    pub run: String,
}

/// One side of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    Starting,
    Up,
    Down(String),
}

pub(super) struct Shared {
    pub spec: LinkSpec,
    pub wish: watch::Sender<Wish>,
    pub progress: watch::Sender<Progress>,
    inner: Mutex<Inner>,
    publish: watch::Sender<LinkStatus>,
}

struct Inner {
    sides: [Side; 2],
    copying: Option<LinkPhase>,
    stopped: Option<LinkPhase>,
    lag: LagMeter,
    /// Carried out at the target, with the position beside it.
    applied: Option<ReplicationOffset>,
    received: Option<ReplicationOffset>,
    source_end: Option<ReplicationOffset>,
    transactions: u64,
    commands: u64,
    backlog: Option<u64>,
    /// The session that applies, as the target numbers its clients.
    client: Option<i64>,
    /// The run of the target's server in that session.
    run: Option<String>,
}

impl Shared {
    pub fn new(spec: LinkSpec) -> Self {
        Self {
            spec,
            wish: watch::Sender::default(),
            progress: watch::Sender::default(),
            inner: Mutex::new(Inner {
                sides: [Side::Starting, Side::Starting],
                copying: None,
                stopped: None,
                lag: LagMeter::default(),
                applied: None,
                received: None,
                source_end: None,
                transactions: 0,
                commands: 0,
                backlog: None,
                client: None,
                run: None,
            }),
            publish: watch::Sender::new(LinkStatus::starting()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of it is a plain assignment: a panic elsewhere leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.publish.subscribe()
    }

    /// The link as it is at this instant.
    pub fn status(&self) -> LinkStatus {
        let mut inner = self.lock();
        let phase = inner.phase();
        let applied = inner.applied;
        let lag = match phase {
            LinkPhase::Streaming => inner.lag.lag(Instant::now(), applied),
            _ => Lag::Unknown,
        };
        LinkStatus {
            phase,
            applied: applied.map(Position::Redis),
            received: inner.received.or(applied).map(Position::Redis),
            source_end: inner.source_end.map(Position::Redis),
            lag,
            applied_commit_micros: None,
            transactions: inner.transactions,
            rows: inner.commands,
            retained: inner.retained(),
        }
    }

    /// Tells those who watch.
    pub fn publish(&self) {
        let status = self.status();
        self.publish.send_if_modified(|last| {
            let changed = *last != status;
            *last = status;
            changed
        });
    }

    /// A target that is being copied to is at no position of the source's: nobody may go on from
    /// it.
    pub fn copying(&self, keys: u64, bytes: u64, total_bytes: u64) {
        let mut inner = self.lock();
        inner.copying = Some(LinkPhase::Copying {
            tables_done: 0,
            tables: 0,
            rows: keys,
            bytes,
            total_bytes,
            keys_done: 0,
            keys: 0,
            seconds_left: None,
        });
        inner.applied = None;
        inner.received = None;
        drop(inner);
        self.progress.send_modify(|progress| *progress = Progress::default());
        self.publish();
    }

    pub fn copied(&self) {
        self.lock().copying = None;
    }

    pub fn source(&self, side: Side) {
        let mut inner = self.lock();
        if side != Side::Up {
            inner.lag.forget();
            inner.backlog = None;
        }
        inner.sides[0] = side;
        drop(inner);
        self.publish();
    }

    pub fn target(&self, side: Side) {
        self.lock().sides[1] = side;
        self.publish();
    }

    /// The link is over until a person acts.
    pub fn stopped(&self, error: &LinkError) {
        if let Verdict::Stop(code) = error.verdict() {
            let reason = error.to_string();
            tracing::error!(link = %self.spec.name(), code, %reason, "the link stopped");
            self.lock().stopped = Some(LinkPhase::Stopped { code: code.to_owned(), reason });
            self.publish();
        }
    }

    pub fn stop_reason(&self) -> Option<(String, String)> {
        match &self.lock().stopped {
            Some(LinkPhase::Stopped { code, reason }) => Some((code.clone(), reason.clone())),
            _ => None,
        }
    }

    /// Before `asked` the source's history ended at `end` or earlier, and it keeps `backlog` bytes
    /// of it.
    pub fn sample(&self, end: ReplicationOffset, asked: Instant, backlog: Option<u64>) {
        let mut inner = self.lock();
        inner.lag.sample(end, asked);
        inner.source_end = Some(end);
        inner.backlog = backlog;
    }

    pub fn received(&self) -> Option<ReplicationOffset> {
        let inner = self.lock();
        inner.received.or(inner.applied)
    }

    pub fn receive(&self, end: ReplicationOffset) {
        self.lock().received = Some(end);
    }

    /// Where the target says that it is, when a session with it begins. What was received before
    /// that session and not applied comes again.
    pub fn found(&self, at: ReplicationOffset) {
        let mut inner = self.lock();
        inner.copying = None;
        inner.received = Some(at);
        drop(inner);
        self.positioned(at, 0, 0);
        self.idle(true);
    }

    /// The target is there.
    pub fn positioned(&self, applied: ReplicationOffset, transactions: u64, commands: u64) {
        let mut inner = self.lock();
        inner.applied = Some(applied);
        inner.transactions += transactions;
        inner.commands += commands;
        drop(inner);
        self.progress.send_modify(|progress| progress.applied = Some(applied));
    }

    pub fn idle(&self, idle: bool) {
        self.progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.idle, idle) != idle);
    }

    pub fn applied(&self) -> Option<ReplicationOffset> {
        self.lock().applied
    }

    pub fn applying_as(&self, client: Option<i64>, run: Option<String>) {
        let mut inner = self.lock();
        (inner.client, inner.run) = (client, run);
    }

    pub fn complete(&self) -> Option<Complete> {
        let mut inner = self.lock();
        let applied = inner.applied;
        let at = inner.lag.complete(applied)?;
        Some(Complete { at, run: inner.run.clone()? })
    }

    pub fn client(&self) -> Option<i64> {
        self.lock().client
    }
}

impl Inner {
    fn phase(&self) -> LinkPhase {
        if let Some(stopped) = &self.stopped {
            return stopped.clone();
        }
        for side in &self.sides {
            if let Side::Down(reason) = side {
                return LinkPhase::Disconnected { reason: reason.clone() };
            }
        }
        if let Some(copying) = &self.copying {
            return copying.clone();
        }
        if self.sides == [Side::Up, Side::Up] {
            return LinkPhase::Streaming;
        }
        LinkPhase::Starting
    }

    /// None while the source cannot be asked.
    fn retained(&self) -> Option<Retained> {
        let (end, applied, bound) = (self.source_end?, self.applied?, self.backlog?);
        let bytes = end.offset.saturating_sub(applied.offset);
        let left = bound.saturating_sub(bytes);
        Some(Retained { bytes, left: Some(left), bound: Some(bound), unreserved: left == 0 })
    }
}
