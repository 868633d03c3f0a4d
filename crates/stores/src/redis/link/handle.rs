//! What the holder of a link can see and ask for.

use super::shared::{Complete, Progress, Shared};
use super::{LinkSpec, run};
use mainstay_core::LinkStatus;
use mainstay_core::position::ReplicationOffset;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

/// How long a link that is told to stop may take to end what it is applying.
const STOP: Duration = Duration::from_secs(5);

/// Why a link did not reach what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    #[error("the link has applied {} and did not reach {wanted} within {seconds} s", shown(.applied))]
    Deadline { applied: Option<ReplicationOffset>, wanted: String, seconds: u64 },
    #[error("the link did not stand still within {seconds} s")]
    NotStill { seconds: u64 },
    #[error("the link has stopped: {reason}")]
    Stopped { code: String, reason: String },
    #[error("the link stands still for somebody else; wait until that is done")]
    Busy,
    #[error("the link was ended")]
    Ended,
}

impl WaitError {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &str {
        match self {
            WaitError::Deadline { .. } | WaitError::NotStill { .. } | WaitError::Ended => {
                "MS-RD-220"
            }
            WaitError::Stopped { code, .. } => code,
            WaitError::Busy => "MS-RD-222",
        }
    }
}

fn shown(applied: &Option<ReplicationOffset>) -> String {
    applied.map_or_else(|| "nothing".to_owned(), |at| at.to_string())
}

/// A running link. Dropped without `stop`, it ends at once, and what was under way at the target
/// may still be carried out there.
pub struct Link {
    shared: Arc<Shared>,
    pausing: Arc<Semaphore>,
    task: JoinHandle<()>,
}

/// Starts the link in a task of its own. It connects, and connects again, by itself.
pub fn start(spec: LinkSpec) -> Link {
    let shared = Arc::new(Shared::new(spec));
    let task = tokio::spawn(run::run(Arc::clone(&shared)));
    Link { shared, pausing: Arc::new(Semaphore::new(1)), task }
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

    /// As of when the target is complete, whenever it is called. Who asks does not keep the link's
    /// remains.
    pub fn completeness(&self) -> impl Fn() -> Option<Complete> + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || shared.upgrade()?.complete()
    }

    /// Waits until everything that has been received is applied; the source may be gone. Returns
    /// the position at the target. A link that stands still goes on: who holds it may be waiting
    /// for a source that never answers again.
    pub async fn drain_received(&self, deadline: Duration) -> Result<ReplicationOffset, WaitError> {
        self.shared.wish.send_modify(|wish| wish.hold = false);
        let wanted = self.shared.received();
        let applied = |p: &Progress| match (p.applied, wanted) {
            (Some(applied), Some(wanted)) => applied >= wanted || p.idle,
            (Some(_), None) => p.idle,
            (None, _) => false,
        };
        let shown = wanted.map_or_else(|| "what was received".to_owned(), |at| at.to_string());
        reach(&self.shared, applied, shown, deadline).await
    }

    /// Waits until `at` is applied at the target, and returns the position there. The source is
    /// alive, and says that nothing before `at` is still to come.
    pub async fn drain_to(
        &self,
        at: ReplicationOffset,
        deadline: Duration,
    ) -> Result<ReplicationOffset, WaitError> {
        drain_to(&self.shared, at, deadline).await
    }

    /// For who has to know how far the link has come, and does not hold it.
    pub fn follower(&self) -> Follower {
        Follower { shared: Arc::clone(&self.shared), pausing: Arc::clone(&self.pausing) }
    }

    /// Stands still at the next boundary of a transaction, with the position written.
    pub async fn pause(&self, deadline: Duration) -> Result<Paused, WaitError> {
        self.follower().pause(deadline).await
    }

    /// Ends the link. After it returns nothing more will be applied. Returns the position that
    /// this link last saw at the target.
    pub async fn stop(mut self) -> Option<ReplicationOffset> {
        self.shared.wish.send_modify(|wish| wish.stop = true);
        let ended = tokio::time::timeout(STOP, &mut self.task).await;
        if ended.is_err() {
            self.task.abort();
            run::end_at_target(&self.shared).await;
        }
        self.shared.applied()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Who follows it is told.
        self.shared.wish.send_modify(|wish| wish.stop = true);
        self.task.abort();
    }
}

/// Sees how far a link has come, also when that has ended.
pub struct Follower {
    shared: Arc<Shared>,
    pausing: Arc<Semaphore>,
}

impl Follower {
    /// Stands still at the next boundary of a transaction, with the position written.
    pub async fn pause(&self, deadline: Duration) -> Result<Paused, WaitError> {
        let permit = Arc::clone(&self.pausing).try_acquire_owned().map_err(|_| WaitError::Busy)?;
        let mut paused = Paused { shared: Arc::clone(&self.shared), at: None, _permit: permit };
        // Who held it last has let it go, and it may not have noticed yet.
        paused.stand(|progress| !progress.held, deadline).await?;
        self.shared.wish.send_modify(|wish| (wish.hold, wish.until) = (true, None));
        let held = |progress: &Progress| progress.held && progress.applied.is_some();
        paused.at = paused.stand(held, deadline).await?;
        Ok(paused)
    }

    /// As the link's. A link that was ended reaches nothing more.
    pub async fn drain_to(
        &self,
        at: ReplicationOffset,
        deadline: Duration,
    ) -> Result<ReplicationOffset, WaitError> {
        let mut wish = self.shared.wish.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `shared`.
            _ = wish.wait_for(|wish| wish.stop) => Err(WaitError::Ended),
            reached = drain_to(&self.shared, at, deadline) => reached,
        }
    }
}

async fn drain_to(
    shared: &Shared,
    at: ReplicationOffset,
    deadline: Duration,
) -> Result<ReplicationOffset, WaitError> {
    let reached = |p: &Progress| p.applied.is_some_and(|applied| applied >= at);
    reach(shared, reached, at.to_string(), deadline).await
}

async fn reach(
    shared: &Shared,
    reached: impl Fn(&Progress) -> bool,
    wanted: String,
    deadline: Duration,
) -> Result<ReplicationOffset, WaitError> {
    let outcome = tokio::time::timeout(deadline, wait(shared, reached)).await;
    let progress = outcome.unwrap_or(Ok(Progress::default()))?;
    let missed =
        || WaitError::Deadline { applied: shared.applied(), wanted, seconds: deadline.as_secs() };
    progress.applied.ok_or_else(missed)
}

/// A link that stands still. It goes on when this is dropped.
pub struct Paused {
    shared: Arc<Shared>,
    at: Option<ReplicationOffset>,
    _permit: OwnedSemaphorePermit,
}

impl Paused {
    /// Everything before this position is applied, nothing after it.
    pub fn at(&self) -> Option<ReplicationOffset> {
        self.at
    }

    /// Applies everything up to `at` and nothing later, and stands still there. `at` is where the
    /// source's history ended between two of its commands; it is not before where the link stands.
    pub async fn advance_to(
        &mut self,
        at: ReplicationOffset,
        deadline: Duration,
    ) -> Result<(), WaitError> {
        self.shared.wish.send_modify(|wish| wish.until = Some(at));
        let there = |p: &Progress| p.held && p.applied.is_some_and(|applied| applied >= at);
        self.at = self.stand(there, deadline).await?;
        match self.at == Some(at) {
            true => Ok(()),
            false => Err(WaitError::NotStill { seconds: deadline.as_secs() }),
        }
    }

    async fn stand(
        &self,
        there: impl Fn(&Progress) -> bool,
        deadline: Duration,
    ) -> Result<Option<ReplicationOffset>, WaitError> {
        let stands = tokio::time::timeout(deadline, wait(&self.shared, there)).await;
        let stands = stands.map_err(|_| WaitError::NotStill { seconds: deadline.as_secs() })?;
        Ok(stands?.applied)
    }

    /// It was not let go by who needs all that was received.
    pub fn still_stands(&self) -> bool {
        self.shared.wish.borrow().hold
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.shared.wish.send_modify(|wish| wish.hold = false);
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
