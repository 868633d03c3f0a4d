//! What the parts of one link and its handle share.

use super::LinkSpec;
use super::changed::Changes;
use super::copy::CopyPlan;
use super::failure::{LinkError, Verdict};
use super::lag::LagMeter;
use super::lineage::Lineage;
use super::queue::Queue;
use mainstay_core::position::Lsn;
use mainstay_core::{Lag, LinkPhase, LinkStatus, Position, Retained};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};

/// A request to apply nothing that ends after `at`. The number tells two requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub number: u64,
    pub at: Lsn,
}

/// What the holder of the link wants of the applier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub limit: Option<Limit>,
    /// Somebody waits until this position is durable.
    pub wanted: Option<Lsn>,
    pub stop: bool,
}

/// What the applier has done, for those who wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub applied: Option<Lsn>,
    /// The limit at which the applier stands still, everything before it applied.
    pub held: Option<Limit>,
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
    pub plan: CopyPlan,
    pub queue: Queue,
    pub wish: watch::Sender<Wish>,
    pub progress: watch::Sender<Progress>,
    /// The source's end was sampled: ask for a keepalive, to know how far the stream is.
    pub sampled: Notify,
    /// The newest values of the source's sequences, for the applier to write.
    pub sequences: Mutex<Option<Vec<SequenceValue>>>,
    /// The history that the position belongs to, as the target has it written down.
    pub lineage: Mutex<Option<Lineage>>,
    /// What was changed, for those who compare it again.
    pub changes: Arc<Changes>,
    inner: Mutex<Inner>,
    publish: watch::Sender<LinkStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SequenceValue {
    pub schema: String,
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
}

struct Inner {
    source: Side,
    target: Side,
    copying: Option<LinkPhase>,
    stopped: Option<LinkPhase>,
    lag: LagMeter,
    /// Durable at the target.
    applied: Option<Lsn>,
    /// Committed there, and perhaps not durable.
    committed: Option<Lsn>,
    /// Everything that ends there or before is applied; made durable with the next position.
    covered: Option<Lsn>,
    received: Option<Lsn>,
    source_end: Option<Lsn>,
    applied_commit_micros: Option<i64>,
    transactions: u64,
    rows: u64,
    retained: Option<Retained>,
}

impl Shared {
    pub fn new(spec: LinkSpec, plan: CopyPlan) -> Self {
        Self {
            spec,
            plan,
            queue: Queue::default(),
            wish: watch::Sender::default(),
            progress: watch::Sender::default(),
            sampled: Notify::new(),
            sequences: Mutex::default(),
            lineage: Mutex::default(),
            changes: Arc::default(),
            inner: Mutex::new(Inner {
                source: Side::Starting,
                target: Side::Starting,
                copying: None,
                stopped: None,
                lag: LagMeter::default(),
                applied: None,
                committed: None,
                covered: None,
                received: None,
                source_end: None,
                applied_commit_micros: None,
                transactions: 0,
                rows: 0,
                retained: None,
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
        let oldest = self.queue.oldest();
        let mut inner = self.lock();
        let phase = inner.phase();
        let covered = inner.covered;
        let lag = match phase {
            LinkPhase::Streaming => inner.lag.lag(Instant::now(), covered, oldest),
            _ => Lag::Unknown,
        };
        LinkStatus {
            phase,
            // A target whose tables are not as of one instant is at no position of the source's,
            // also while the source is gone: nobody may go on from it.
            applied: inner.applied.filter(|_| inner.copying.is_none()).map(Position::Postgres),
            received: inner.received.max(inner.applied).map(Position::Postgres),
            source_end: inner.source_end.map(Position::Postgres),
            lag,
            applied_commit_micros: inner.applied_commit_micros,
            transactions: inner.transactions,
            rows: inner.rows,
            retained: inner.retained,
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

    pub fn copying(&self, phase: Option<LinkPhase>) {
        self.lock().copying = phase;
        self.publish();
    }

    pub fn source(&self, side: Side) {
        let mut inner = self.lock();
        if side != Side::Up {
            inner.lag.forget();
        }
        inner.source = side;
        drop(inner);
        self.publish();
    }

    pub fn source_is_down(&self) -> bool {
        matches!(self.lock().source, Side::Down(_))
    }

    pub fn target(&self, side: Side) {
        self.lock().target = side;
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

    /// The source said something; `end` when nothing before it is still to come.
    pub fn heard(&self, clock_micros: i64, end: Option<Lsn>) {
        let mut inner = self.lock();
        inner.lag.hear(clock_micros, Instant::now());
        inner.received = inner.received.max(end);
        inner.source_end = inner.source_end.max(end);
    }

    /// As of when the target has all that the source had; none while its tables are not as of one
    /// instant.
    pub fn complete(&self) -> Option<Instant> {
        let mut inner = self.lock();
        let covered = inner.covered.filter(|_| matches!(inner.phase(), LinkPhase::Streaming));
        inner.lag.complete(covered)
    }

    /// At `clock_micros`, later than `asked`, the source's history ended at or before `end`.
    pub fn sample(&self, end: Lsn, clock_micros: i64, asked: Instant) {
        let mut inner = self.lock();
        inner.lag.sample(end, clock_micros, asked, Instant::now());
        inner.source_end = inner.source_end.max(inner.lag.source_end());
        drop(inner);
        self.sampled.notify_one();
    }

    pub fn received(&self, end: Lsn) {
        let mut inner = self.lock();
        inner.received = inner.received.max(Some(end));
    }

    /// How far the target is, as it says when a session with it begins.
    pub fn found(&self, at: Lsn, commit_micros: Option<i64>) {
        self.committed(at);
        self.positioned(at, commit_micros);
    }

    /// The target is there, durably.
    pub fn positioned(&self, applied: Lsn, commit_micros: Option<i64>) {
        let mut inner = self.lock();
        inner.applied = Some(applied);
        inner.covered = Some(applied);
        inner.applied_commit_micros = commit_micros.or(inner.applied_commit_micros);
        drop(inner);
        self.progress.send_modify(|progress| progress.applied = Some(applied));
        self.publish();
    }

    /// The target committed everything up to `position`; what was in the queue of it is gone.
    pub fn committed(&self, position: Lsn) {
        self.lock().committed = Some(position);
    }

    /// The target was further than `position` the last time that it was heard of.
    pub fn was_beyond(&self, position: Lsn) -> bool {
        self.lock().committed.is_some_and(|committed| position < committed)
    }

    /// Everything that ends at `covered` or before is applied.
    pub fn covered(&self, covered: Lsn) {
        self.lock().covered = Some(covered);
    }

    pub fn count(&self, transactions: u64, rows: u64) {
        let mut inner = self.lock();
        inner.transactions += transactions;
        inner.rows += rows;
    }

    /// None when that cannot be known.
    pub fn retained(&self, retained: Option<Retained>) {
        self.lock().retained = retained;
    }

    pub fn applied(&self) -> Option<Lsn> {
        self.lock().applied
    }
}

impl Inner {
    fn phase(&self) -> LinkPhase {
        if let Some(stopped) = &self.stopped {
            return stopped.clone();
        }
        if let Side::Down(reason) = &self.source {
            return LinkPhase::Disconnected { reason: reason.clone() };
        }
        if let Side::Down(reason) = &self.target {
            return LinkPhase::Disconnected { reason: reason.clone() };
        }
        if let Some(copying) = &self.copying {
            return copying.clone();
        }
        if self.source == Side::Up && self.target == Side::Up {
            return LinkPhase::Streaming;
        }
        LinkPhase::Starting
    }
}
