//! What the holder of a link can see and ask for.

use super::changed::Changed;
use super::copy::CopyPlan;
use super::shared::{Limit, Progress, Shared};
use super::sql::Sql;
use super::{LinkSpec, resume, run};
use mainstay_core::LinkStatus;
use mainstay_core::position::Lsn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

/// How long a link that is told to stop may take to end what it is applying.
const STOP: Duration = Duration::from_secs(5);

/// Why a link did not reach what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    #[error("the link has applied {} and did not reach {wanted} within {seconds} s", shown(.applied))]
    Deadline { applied: Option<Lsn>, wanted: Lsn, seconds: u64 },
    #[error("the link did not stand still within {seconds} s")]
    NotStill { seconds: u64 },
    #[error("the link has stopped: {reason}")]
    Stopped { code: String, reason: String },
    #[error("the link has applied {applied} already, which is past {wanted}")]
    Passed { applied: Lsn, wanted: Lsn },
    #[error("the link stands still for somebody else; wait until that is done")]
    Busy,
    #[error("the link went on in between, because all that was received is needed")]
    LetGo,
}

impl WaitError {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &str {
        match self {
            WaitError::Deadline { .. } | WaitError::NotStill { .. } | WaitError::LetGo => {
                "MS-PG-220"
            }
            WaitError::Stopped { code, .. } => code,
            WaitError::Passed { .. } => "MS-PG-221",
            WaitError::Busy => "MS-PG-222",
        }
    }
}

fn shown(applied: &Option<Lsn>) -> String {
    applied.map_or_else(|| "nothing".to_owned(), |lsn| lsn.to_string())
}

/// A running link. Dropped without `stop`, it ends at once, and what was under way at the target
/// may still be committed there.
pub struct Link {
    shared: Arc<Shared>,
    pausing: Arc<Semaphore>,
    pauses: AtomicU64,
    task: JoinHandle<()>,
}

/// Starts the link in a task of its own. It connects, and connects again, by itself.
pub fn start(spec: LinkSpec) -> Link {
    start_with(spec, CopyPlan::default())
}

/// As `start`, for a machine that the default plan of the first copy does not suit.
pub fn start_with(spec: LinkSpec, plan: CopyPlan) -> Link {
    let shared = Arc::new(Shared::new(spec, plan));
    let task = tokio::spawn(run::run(Arc::clone(&shared)));
    Link { shared, pausing: Arc::new(Semaphore::new(1)), pauses: AtomicU64::new(0), task }
}

impl Link {
    pub fn spec(&self) -> &LinkSpec {
        &self.shared.spec
    }

    /// The link as it is at this instant.
    pub fn status(&self) -> LinkStatus {
        self.shared.status()
    }

    /// Its status whenever it changes, and the lag at least five times a second.
    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.shared.watch()
    }

    /// As of when the target has all that the source had, whenever it is called; none while that is
    /// not known.
    pub fn completeness(&self) -> impl Fn() -> Option<Instant> + Send + Sync + use<> {
        // Who asks does not keep the link's remains.
        let shared = Arc::downgrade(&self.shared);
        move || shared.upgrade()?.complete()
    }

    /// Whether it has changed anything that was not taken from [`Paused::take_changed`] yet.
    pub fn has_changed(&self) -> bool {
        !self.shared.changes.is_empty()
    }

    /// Waits until everything that has been received is applied; the source may be gone. Returns
    /// the position that is durable at the target. A link that stands still goes on: who holds it
    /// may be waiting for a source that never answers again.
    pub async fn drain_received(&self, deadline: Duration) -> Result<Lsn, WaitError> {
        self.shared.wish.send_modify(|wish| wish.limit = None);
        let received = || self.shared.queue.received().unwrap_or_default();
        let wanted = received();
        let drained = async {
            let mut applied = self.reach(wanted).await?;
            // The last bytes of a source that is gone may still be on their way.
            while self.shared.source_is_down() && applied < received() {
                applied = self.reach(received()).await?;
            }
            Ok(applied)
        };
        self.within(deadline, wanted, drained).await
    }

    /// Waits until `at` is durable at the target, and returns the position there. The source is
    /// alive, and says that nothing before `at` is still to come.
    pub async fn drain_to(&self, at: Lsn, deadline: Duration) -> Result<Lsn, WaitError> {
        self.within(deadline, at, self.reach(at)).await
    }

    async fn reach(&self, at: Lsn) -> Result<Lsn, WaitError> {
        self.shared.wish.send_modify(|wish| wish.wanted = Some(at));
        let progress = wait(&self.shared, |p| p.applied.is_some_and(|applied| applied >= at)).await;
        self.shared.wish.send_modify(|wish| wish.wanted = None);
        Ok(progress?.applied.unwrap_or_default())
    }

    async fn within(
        &self,
        deadline: Duration,
        wanted: Lsn,
        reached: impl Future<Output = Result<Lsn, WaitError>>,
    ) -> Result<Lsn, WaitError> {
        tokio::time::timeout(deadline, reached).await.unwrap_or_else(|_| {
            self.shared.wish.send_modify(|wish| wish.wanted = None);
            let (applied, seconds) = (self.shared.applied(), deadline.as_secs());
            Err(WaitError::Deadline { applied, wanted, seconds })
        })
    }

    /// Stands still at the next transaction boundary, with the position durable.
    pub async fn pause(&self, deadline: Duration) -> Result<Paused, WaitError> {
        let permit = Arc::clone(&self.pausing).try_acquire_owned().map_err(|_| WaitError::Busy)?;
        let number = self.pauses.fetch_add(1, Ordering::Relaxed) << 32;
        let (shared, at) = (Arc::clone(&self.shared), Lsn::default());
        let mut paused = Paused { shared, at, number, _permit: permit };
        paused.hold(Lsn::default(), deadline).await?;
        Ok(paused)
    }

    /// Applies every transaction that ends at or before `at`, none that ends later, and stands
    /// still there until the answer is dropped.
    pub async fn pause_at(&self, at: Lsn, deadline: Duration) -> Result<Paused, WaitError> {
        let mut paused = self.pause(deadline).await?;
        paused.advance_to(at, deadline).await?;
        Ok(paused)
    }

    /// Ends the link. After it returns nothing more will be applied. Returns the position that
    /// this link last saw durable at the target.
    pub async fn stop(mut self) -> Option<Lsn> {
        self.shared.wish.send_modify(|wish| wish.stop = true);
        let ended = tokio::time::timeout(STOP, &mut self.task).await;
        if ended.is_err() {
            self.task.abort();
            end_at_target(&self.shared.spec).await;
        }
        self.shared.applied()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// For a link that does not end by itself: its sessions at the target are ended there. A target
/// that does not answer is guarded by the epoch: the next holder's claim shuts this one out.
async fn end_at_target(spec: &LinkSpec) {
    let ended = async {
        let sql = Sql::open(&spec.target, "stop").await?;
        resume::end_older_sessions(&sql, spec).await
    };
    if let Err(error) = ended.await {
        tracing::warn!(link = %spec.name(), %error, "cannot end the link's sessions");
    }
}

/// A link that stands still. It goes on when this is dropped.
pub struct Paused {
    shared: Arc<Shared>,
    at: Lsn,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Paused {
    /// Every transaction that ends at or before this position is applied, none that ends later.
    pub fn at(&self) -> Lsn {
        self.at
    }

    /// It was not let go by who needs all that was received.
    pub fn still_stands(&self) -> bool {
        self.shared.wish.borrow().limit.is_some_and(|limit| limit.number == self.number)
    }

    /// What the link has changed since this was asked last.
    pub fn take_changed(&self) -> Changed {
        self.shared.changes.take()
    }

    /// Goes on to `at` exactly, and stands still there.
    pub async fn advance_to(&mut self, at: Lsn, deadline: Duration) -> Result<(), WaitError> {
        if at < self.at {
            return Err(WaitError::Passed { applied: self.at, wanted: at });
        }
        if self.shared.wish.borrow().limit.is_none() {
            return Err(WaitError::LetGo);
        }
        self.hold(at, deadline).await?;
        self.at = at;
        Ok(())
    }

    async fn hold(&mut self, limit: Lsn, deadline: Duration) -> Result<(), WaitError> {
        self.number += 1;
        let limit = Limit { number: self.number, at: limit };
        self.shared.wish.send_modify(|wish| wish.limit = Some(limit));
        let held = wait(&self.shared, |progress| progress.held == Some(limit));
        match tokio::time::timeout(deadline, held).await {
            Ok(progress) => {
                self.at = progress?.applied.unwrap_or_default();
                Ok(())
            }
            Err(_) => Err(WaitError::NotStill { seconds: deadline.as_secs() }),
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.shared.wish.send_modify(|wish| wish.limit = None);
    }
}

/// Waits for the applier, or for the link's end.
async fn wait(shared: &Shared, reached: impl Fn(&Progress) -> bool) -> Result<Progress, WaitError> {
    let mut progress = shared.progress.subscribe();
    let mut status = shared.watch();
    loop {
        let now = *progress.borrow_and_update();
        if reached(&now) {
            return Ok(now);
        }
        status.mark_unchanged();
        if let Some((code, reason)) = shared.stop_reason() {
            return Err(WaitError::Stopped { code, reason });
        }
        // The senders live as long as `shared`.
        tokio::select! {
            _ = progress.changed() => {}
            _ = status.changed() => {}
        }
    }
}
