//! Beginning, resuming and giving up executions.

use crate::api::types::{Execution, ExecutionKind, ExecutionState};
use crate::application::Application;
use crate::known::Known;
use crate::runbook::{self, engine};
use mainstay_core::Record;
use mainstay_core::record::Cause;
use std::sync::Arc;

/// This site holds an epoch for which its promotion is not complete: carry on with it.
pub fn promote(application: &Arc<Application>) {
    let Some(record) = held(application) else { return };
    let work = application.clone();
    conduct(application, async move {
        if record.cause == Cause::Initial {
            return first_epoch(&work, &record).await;
        }
        let begun = find(&work.known(), &record);
        match begun {
            Some(execution) => engine::conduct(&work, execution).await,
            None => engine::conduct(&work, runbook::failover(&work, &record)).await,
        }
    });
}

/// A planned move to this site.
pub fn begin(application: &Arc<Application>, execution: Execution) -> bool {
    let work = application.clone();
    conduct(application, async move { engine::conduct(&work, execution).await })
}

/// Runs the work as this application's one execution. False when one is under way.
fn conduct(
    application: &Arc<Application>,
    work: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let Some(turn) = application.single.execution.try_take() else { return false };
    application.learn(|known| known.facts.executing = true);
    let ended = Ended(application.clone());
    tokio::spawn(async move {
        // Dropped in reverse order: the fact first, then the turn.
        let _turn = turn;
        let _ended = ended;
        work.await;
    });
    true
}

struct Ended(Arc<Application>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.learn(|known| known.facts.executing = false);
    }
}

fn held(application: &Application) -> Option<Record> {
    let known = application.known();
    let record = &known.facts.record.as_ref()?.record;
    let due = record.active == known.facts.here && known.facts.promoted < record.epoch;
    due.then(|| record.clone())
}

/// The home site's first epoch needs no promotion: nobody was active before.
async fn first_epoch(application: &Application, record: &Record) {
    let mut epochs = application.epochs();
    epochs.promoted = record.epoch;
    if let Err(why) = application.remember(epochs).await {
        tracing::error!(application = %application.spec.name, %why, "cannot begin the first epoch");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// The execution that made this epoch, when it was journaled and is not ended.
fn find(known: &Known, record: &Record) -> Option<Execution> {
    let last = known.execution.as_ref()?;
    let open = matches!(last.state, ExecutionState::Running | ExecutionState::Stuck);
    let made = last.epoch == record.epoch && last.to == known.facts.here;
    (open && made && record.active == last.to).then(|| last.clone())
}

/// This site is active by an execution that a crash of this agent cut off after the promotion: the
/// steps that are left are made.
pub fn resume_promoted(application: &Arc<Application>) {
    let left = {
        let known = application.known();
        let Some(seen) = &known.facts.record else { return };
        let promoted = known.facts.promoted == seen.record.epoch && !known.facts.executing;
        if promoted { find(&known, &seen.record) } else { None }
    };
    if let Some(execution) = left {
        let work = application.clone();
        conduct(application, async move { engine::conduct(&work, execution).await });
    }
}

/// A planned move that was under way when this agent crashed, and had not claimed: given up. The
/// active site takes its handover back by itself, or is told.
pub fn resume_abandoned(application: &Arc<Application>) {
    let abandoned = {
        let known = application.known();
        let (Some(last), Some(seen)) = (&known.execution, &known.facts.record) else { return };
        let open = matches!(last.state, ExecutionState::Running | ExecutionState::Stuck);
        let open = open && last.to == known.facts.here;
        let claimed = seen.record.epoch >= last.epoch && seen.record.active == known.facts.here;
        let switchover = last.kind == ExecutionKind::Switchover;
        (open && switchover && !claimed).then(|| last.clone())
    };
    if let Some(execution) = abandoned {
        let work = application.clone();
        let why = "the conducting agent was restarted before the claim";
        conduct(application, async move { engine::give_up(&work, execution, why).await });
    }
}
