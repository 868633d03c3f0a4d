//! Runbooks: named steps; an execution is one journaled run of them.

mod conduct;
mod definition;
pub mod engine;
pub mod own;
pub mod ready;
mod step;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod words;

pub use definition::{Defined, Own, Pinned, pin, runbook_of, short_hash, steps};
pub use step::{Skip, Step, StepError, steps_of};
pub use words::{Answer, Heard, Question};

use crate::application::Application;
use crate::time::unix_micros;
use crate::types::{Execution, ExecutionKind, ExecutionState, StepRecord, StepState};
use mainstay_core::record::Cause;
use mainstay_core::{Epoch, Record, SiteName};
use std::collections::BTreeMap;

/// The execution of the failover that made this record.
pub fn failover(application: &Application, record: &Record) -> Execution {
    let (facts, ordered_by) = {
        let known = application.known();
        (known.claim_facts.clone(), known.ordered_by.clone())
    };
    let id = format!("{}-{}-failover", application.spec.name, record.epoch);
    let kind = ExecutionKind::Failover;
    let by = match record.cause {
        Cause::Ordered => ordered_by.as_deref().unwrap_or("a person"),
        _ => "the agents",
    };
    let mut execution = new(application, id, kind, record.epoch, record.former.clone(), by);
    execution.facts = facts;
    execution
}

/// A planned move from the active site to this one.
pub fn switchover(
    application: &Application,
    active: &SiteName,
    ends: Epoch,
    requested_by: &str,
) -> Execution {
    // The order of each switchover is entered before; no two entries have the same hash.
    let (_, head) = application.context.ledger.head();
    let short = head.get(..8).unwrap_or_default();
    let id = format!("{}-{}-switchover-{short}", application.spec.name, ends.next());
    let kind = ExecutionKind::Switchover;
    new(application, id, kind, ends.next(), Some(active.clone()), requested_by)
}

/// Whether the record is what such an execution at that site comes to: another move can make the
/// same epoch first. Of what a planned move made, a failover's steps do the rest where that move is
/// not there to be carried on.
pub fn makes(kind: ExecutionKind, at: &SiteName, record: &Record) -> bool {
    let fits = match kind {
        ExecutionKind::Failover => true,
        ExecutionKind::Switchover => record.cause == Cause::Switchover,
    };
    fits && record.active == *at
}

/// A move that is not begun: for a plan.
pub fn planned(application: &Application, kind: ExecutionKind) -> Execution {
    let record = application.known().facts.record.as_ref().map(|seen| seen.record.clone());
    let epoch = record.as_ref().map(|it| it.epoch.next()).unwrap_or_default();
    new(application, "plan".to_owned(), kind, epoch, record.map(|it| it.active), "nobody")
}

fn new(
    application: &Application,
    id: String,
    kind: ExecutionKind,
    epoch: Epoch,
    from: Option<SiteName>,
    requested_by: &str,
) -> Execution {
    let pinned = pin(&application.spec, runbook_of(&application.spec, kind, application.here()));
    Execution {
        id,
        application: application.spec.name.clone(),
        kind,
        epoch,
        from,
        to: application.here().clone(),
        state: ExecutionState::Running,
        requested_by: requested_by.to_owned(),
        started_micros: unix_micros(),
        ended_micros: None,
        steps: pinned.steps.iter().map(|step| pending(step.name())).collect(),
        facts: BTreeMap::new(),
        runbook: Some(pinned),
        questions: Vec::new(),
    }
}

fn pending(step: &str) -> StepRecord {
    StepRecord {
        name: step.to_owned(),
        state: StepState::Pending,
        started_micros: None,
        ended_micros: None,
        detail: String::new(),
    }
}
