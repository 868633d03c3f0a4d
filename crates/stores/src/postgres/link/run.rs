//! The life of a link: begin, then receive and apply side by side until it is stopped.

use super::apply::{self, End, stop_wished};
use super::copy;
use super::failure::{LinkError, Verdict};
use super::lineage;
use super::receive;
use super::resume::{self, AtTarget};
use super::retention;
use super::shared::{Shared, Side};
use super::sql::Sql;
use crate::backoff::Backoff;
use mainstay_core::position::Lsn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

const PUBLISH: Duration = Duration::from_millis(200);

/// Runs until the link is told to stop, or cannot go on without a person.
pub(super) async fn run(shared: Arc<Shared>) {
    let publishing = async {
        loop {
            tokio::time::sleep(PUBLISH).await;
            shared.publish();
        }
    };
    let living = async {
        if let Err(error) = live(&shared).await {
            shared.stopped(&error);
            // Its slot is looked at until somebody lets go of the link.
            stop_wished(&mut shared.wish.subscribe()).await;
        }
    };
    tokio::select! {
        () = living => {}
        () = publishing => {}
        () = retention::watch(&shared) => {}
    }
    shared.publish();
}

async fn live(shared: &Arc<Shared>) -> Result<(), LinkError> {
    loop {
        let Some(position) = begin_or_stop(shared).await? else { return Ok(()) };
        shared.queue.reset(position.at);
        shared.found(position.at, position.commit_micros);
        let mut receiving = Receiving::start(shared);
        let streamed = tokio::select! {
            streamed = stream(shared, &mut receiving) => streamed,
            () = reached(shared, position.together) => Ok(Flow::BeginAgain),
        };
        receiving.end().await;
        let streamed = streamed?;
        if streamed == Flow::Stopped {
            return Ok(());
        }
    }
}

/// Ready when the tables that a resumed copy brought are all as of one instant: then the link
/// begins again there, and what waited for that is made while nothing is applied.
async fn reached(shared: &Shared, together: Option<Lsn>) {
    let Some(together) = together else { return std::future::pending().await };
    let mut progress = shared.progress.subscribe();
    let reached = progress.wait_for(|p| p.applied.is_some_and(|applied| applied >= together));
    // The sender lives as long as `shared`.
    drop(reached.await);
}

#[derive(PartialEq, Eq)]
enum Flow {
    Stopped,
    BeginAgain,
}

/// The receiver is a task of its own, so that neither side waits for the other one's work on a
/// processor.
struct Receiving {
    task: AbortOnDropHandle<()>,
    error: oneshot::Receiver<LinkError>,
}

impl Receiving {
    fn start(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        let (tell, error) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Without anybody who listens the link is over.
            let _over = tell.send(receive::receive(&shared).await);
        });
        Self { task: AbortOnDropHandle::new(task), error }
    }

    /// After it returns nothing more comes into the queue.
    async fn end(self) {
        self.task.abort();
        if let Err(error) = self.task.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A source that stops for good closes the queue: what it has sent is still applied.
async fn stream(shared: &Shared, receiving: &mut Receiving) -> Result<Flow, LinkError> {
    let mut ended = None;
    let applying = apply::apply(shared);
    tokio::pin!(applying);
    loop {
        tokio::select! {
            received = &mut receiving.error, if ended.is_none() => {
                // It has panicked, which its end tells.
                let Ok(error) = received else { return Ok(Flow::BeginAgain) };
                shared.stopped(&error);
                shared.queue.close();
                ended = Some(error);
            }
            end = &mut applying => return match (end, ended) {
                (End::Stopped, _) => Ok(Flow::Stopped),
                (End::Failed(error), _) | (End::Drained | End::Reset, Some(error)) => Err(error),
                (End::Drained | End::Reset, None) => Ok(Flow::BeginAgain),
            },
        }
    }
}

/// Where to begin.
struct Begin {
    at: Lsn,
    commit_micros: Option<i64>,
    /// Until this position is applied the first copy goes on: its tables are not as of one instant.
    together: Option<Lsn>,
}

/// None when the link was told to stop first.
async fn begin_or_stop(shared: &Shared) -> Result<Option<Begin>, LinkError> {
    let mut wish = shared.wish.subscribe();
    tokio::select! {
        () = stop_wished(&mut wish) => Ok(None),
        begun = begin_at_last(shared) => begun.map(Some),
    }
}

async fn begin_at_last(shared: &Shared) -> Result<Begin, LinkError> {
    let mut backoff = Backoff::default();
    loop {
        let begun = begin(shared).await;
        if !matches!(&begun, Ok(Begin { together: Some(_), .. })) {
            shared.copying(None);
        }
        let error = match begun {
            Ok(begin) => return Ok(begin),
            Err(error) => error,
        };
        if let Verdict::Stop(_) = error.verdict() {
            return Err(error);
        }
        tracing::warn!(link = %shared.spec.name(), %error, "the link cannot begin; trying again");
        shared.source(Side::Down(error.to_string()));
        if receive::wait_or_stop(shared, backoff.next()).await {
            return Err(error);
        }
    }
}

/// A target that has a position needs no source to say where to go on, which is what a link at a
/// site must be able to do whose source is gone. Only a first copy needs both.
async fn begin(shared: &Shared) -> Result<Begin, LinkError> {
    let spec = &shared.spec;
    let target = Sql::open(&spec.target, &spec.apply_session()).await?;
    let at_target = resume::claim(&target, spec).await?;
    lineage::recall(shared, &target).await?;
    match at_target {
        AtTarget::Position { at, commit_micros } => {
            let together = copy::complete(shared, &target, at).await?;
            Ok(Begin { at, commit_micros, together })
        }
        AtTarget::Copying => first_copy(shared, &target, true).await,
        AtTarget::Nothing => first_copy(shared, &target, false).await,
    }
}

async fn first_copy(shared: &Shared, target: &Sql, again: bool) -> Result<Begin, LinkError> {
    resume::end_older_sessions(target, &shared.spec).await?;
    let at = copy::copy(shared, target, again).await?;
    shared.source(Side::Starting);
    let together = copy::complete(shared, target, at).await?;
    Ok(Begin { at, commit_micros: None, together })
}
