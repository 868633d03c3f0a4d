//! Scan mode: a link for servers that do not let Mainstay replicate (managed ones block `PSYNC`).
//!
//! A sweep that never ends looks at every key of both sides, by a digest of its value and by when it
//! expires, and copies what differs; a key that only the target has is removed after a second look
//! at the source. Notifications of the source, where it sends some, say which keys to look at at
//! once; they are hints, and nothing depends on them.
//!
//! There is no position, and no order: a reader of the target can see a later write without an
//! earlier one. What is known is how old the oldest look at any key can be.
//!
//! Invariant: what is told is never better than the truth: the age is counted from the begin of the
//! last sweep that looked at everything. Invariant: nothing is written under a stale epoch.

mod copy;
mod hints;
mod needed;
mod portions;
mod record;
mod sweep;

pub use needed::{Reason, needed};

use super::fault::Fault;
use super::link::{LinkError, LinkSpec, Verdict};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use sweep::Sweep;
use tokio::task::JoinHandle;

/// Before it connects again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanPhase {
    /// Not every key was looked at yet.
    First,
    Sweeping,
    /// A server does not answer; the link tries again by itself.
    Disconnected {
        reason: String,
    },
    /// Until a person acts. `code` is one of the documented error codes.
    Stopped {
        code: String,
        reason: String,
    },
}

/// What a link in scan mode says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanStatus {
    pub phase: ScanPhase,
    /// Every key was looked at within this time, and was the same then or was made so. None before
    /// the first sweep has ended.
    pub checked_within: Option<Duration>,
    pub sweeps: u64,
    pub copied: u64,
    pub removed: u64,
    /// Keys that notifications of the source named.
    pub hints: u64,
    /// The last key that the target did not take, and why. It is tried again in the next sweep,
    /// which does not count as one that looked at everything.
    pub refused: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    phase: ScanPhase,
    /// When the last whole sweep began.
    whole_since: Option<Instant>,
    sweeps: u64,
    copied: u64,
    removed: u64,
    hints: u64,
    refused: Option<String>,
    /// The source's process, when it was last swept.
    process: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Told(Arc<Mutex<Shared>>);

impl Told {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Shared {
            phase: ScanPhase::First,
            whole_since: None,
            sweeps: 0,
            copied: 0,
            removed: 0,
            hints: 0,
            refused: None,
            process: None,
        })))
    }

    fn get(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self) {
        let mut told = self.get();
        let first = told.whole_since.is_none();
        told.phase = if first { ScanPhase::First } else { ScanPhase::Sweeping };
    }
}

/// A link in scan mode. Dropped, it ends at once.
pub struct ScanLink {
    told: Told,
    task: JoinHandle<()>,
}

/// Starts the link in a task of its own. It connects, and connects again, by itself. Between two
/// sweeps it rests, and looks at what the source names.
pub fn start(spec: LinkSpec, rest: Duration) -> ScanLink {
    let told = Told::new();
    let task = tokio::spawn(run(spec, rest, told.clone()));
    ScanLink { told, task }
}

impl ScanLink {
    pub fn status(&self) -> ScanStatus {
        let told = self.told.get();
        ScanStatus {
            phase: told.phase.clone(),
            checked_within: told.whole_since.map(|since| since.elapsed()),
            sweeps: told.sweeps,
            copied: told.copied,
            removed: told.removed,
            hints: told.hints,
            refused: told.refused.clone(),
        }
    }

    /// Ends the link. What was sent to the target may still be carried out there.
    pub async fn stop(mut self) {
        self.task.abort();
        // It ends by being aborted, which is what was asked for.
        drop((&mut self.task).await);
    }
}

impl Drop for ScanLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(spec: LinkSpec, rest: Duration, told: Told) {
    loop {
        let Err(why) = sweep_on(&spec, rest, &told).await;
        let reason = why.to_string();
        if let Verdict::Stop(code) = why.verdict() {
            tracing::error!(link = spec.name(), code, %reason, "the link has stopped");
            told.get().phase = ScanPhase::Stopped { code: code.to_owned(), reason };
            return;
        }
        tracing::warn!(link = spec.name(), %reason, "the link is interrupted");
        told.get().phase = ScanPhase::Disconnected { reason };
        tokio::time::sleep(RETRY).await;
    }
}

async fn sweep_on(
    spec: &LinkSpec,
    rest: Duration,
    told: &Told,
) -> Result<std::convert::Infallible, LinkError> {
    let mut sweep = Sweep::begin(spec, told.clone()).await?;
    loop {
        told.connected();
        let began = Instant::now();
        if sweep.all().await? {
            let mut told = told.get();
            told.whole_since = Some(began);
            told.sweeps += 1;
            told.refused = None;
        }
        told.connected();
        sweep.rest(rest).await?;
    }
}

/// A server's answer that is not what its documentation says.
fn odd(place: &str, what: &str) -> LinkError {
    LinkError::Server(Fault::Refused {
        place: place.to_owned(),
        doing: "read keys to copy them",
        why: what.to_owned(),
    })
}
