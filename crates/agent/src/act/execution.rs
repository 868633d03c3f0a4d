//! Beginning, resuming and giving up executions.

use crate::application::Application;
use crate::known::Known;
use crate::runbook::{self, engine};
use crate::types::{Execution, ExecutionKind, ExecutionState};
use mainstay_core::Record;
use mainstay_core::decision::Facts;
use mainstay_core::record::Cause;
use std::sync::Arc;
use std::time::Duration;

/// Between two tries of what is due again at once.
const REST: Duration = Duration::from_millis(200);

/// This site holds an epoch for which its promotion is not complete: carry on with it.
pub fn promote(application: &Arc<Application>) {
    let Some(record) = held(application) else { return };
    let work = application.clone();
    conduct(application, |_| true, async move {
        if record.cause == Cause::Initial {
            return first_epoch(&work, &record).await;
        }
        let begun = find(&work.known(), &record);
        match begun {
            Some(execution) => engine::conduct(&work, execution).await,
            None => engine::conduct(&work, runbook::failover(&work, &record)).await,
        }
        if held(&work).is_some() {
            // It is due at once again, and what was in its way may still be there.
            tokio::time::sleep(REST).await;
        }
    });
}

/// A planned move to this site. False also while a failover to it may be made already: whoever
/// decides on one sees that nothing is executed, and says that it claims, in one look as well.
pub fn begin(application: &Arc<Application>, execution: Execution) -> bool {
    let work = application.clone();
    let may = |facts: &Facts| !facts.claim_is_open();
    conduct(application, may, async move { engine::conduct(&work, execution).await })
}

/// Runs the work as this application's one execution. False when one is under way, or may not be.
fn conduct(
    application: &Arc<Application>,
    may: impl FnOnce(&Facts) -> bool,
    work: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let Some(turn) = application.single.execution.try_take() else { return false };
    let begins = application.learn(|known| {
        known.facts.executing = may(&known.facts);
        known.facts.executing
    });
    if !begins {
        return false;
    }
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
    let ours = is_open(last) && last.to == known.facts.here;
    (ours && is_made_by(record, last)).then(|| last.clone())
}

fn is_made_by(record: &Record, execution: &Execution) -> bool {
    record.epoch == execution.epoch && runbook::makes(execution.kind, &execution.to, record)
}

fn is_open(execution: &Execution) -> bool {
    matches!(execution.state, ExecutionState::Running | ExecutionState::Stuck)
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
        conduct(application, |_| true, async move { engine::conduct(&work, execution).await });
    }
}

/// What was under way when this agent crashed and is overtaken by now: given up. It is a planned move
/// that had not claimed, whose active site takes its handover back by itself or is told; or any move
/// with a newer epoch than its own.
pub fn resume_abandoned(application: &Arc<Application>) {
    let abandoned = {
        let known = application.known();
        let (Some(last), Some(seen)) = (&known.execution, &known.facts.record) else { return };
        let open = is_open(last) && last.to == known.facts.here;
        let claimed = is_made_by(&seen.record, last);
        let switchover = last.kind == ExecutionKind::Switchover;
        let overtaken = known.facts.highest > last.epoch;
        (open && !claimed && (switchover || overtaken)).then(|| last.clone())
    };
    if let Some(execution) = abandoned {
        let work = application.clone();
        let why = "the conducting agent was restarted";
        let given_up = async move {
            engine::give_up(&work, execution, why).await;
            let kept = work.known().execution.clone();
            if kept.is_some_and(|kept| is_open(&kept)) {
                // A disk that did not take the end of it does not take it the next moment.
                tokio::time::sleep(REST).await;
            }
        };
        conduct(application, |_| true, given_up);
    }
}
