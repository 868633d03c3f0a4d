//! Running a runbook: intent (durable), act, outcome (durable), step by step.

use super::{Step, StepError, steps, steps_of};
use crate::api::types::{Execution, ExecutionKind, ExecutionState, StepState};
use crate::application::Application;
use crate::error::AgentError;
use crate::peer::messages::{Done, StepRequest};
use crate::time::unix_micros;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Past the point of no return a step is tried again and again, ever more slowly.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so many tries a person is told.
const TRIES_BEFORE_STUCK: u32 = 10;
const RESUME_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the steps that are not done yet. A step whose intent is open is made again: every step
/// looks at the world first.
pub async fn conduct(application: &Arc<Application>, mut execution: Execution) {
    let ended = run(application, &mut execution).await;
    match ended {
        Ok(()) => finish(application, &mut execution, ExecutionState::Succeeded, None).await,
        Err(why) => give_up(application, execution, &why).await,
    }
}

async fn run(application: &Arc<Application>, execution: &mut Execution) -> Result<(), String> {
    journal(application, execution, "execution-begun").await.map_err(|why| why.to_string())?;
    for (index, step) in steps_of(execution.kind).iter().enumerate() {
        let done = execution.steps.get(index).is_some_and(|it| it.state == StepState::Done);
        if !done {
            make(application, execution, index, *step).await?;
        }
    }
    Ok(())
}

/// Makes one step; before the claim of a planned move one failure ends the execution, afterwards
/// there is only forward.
async fn make(
    application: &Arc<Application>,
    execution: &mut Execution,
    index: usize,
    step: Step,
) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    for tries in 1.. {
        let failed = match attempt(application, execution, index, step).await {
            Ok(()) => break,
            Err(why) => why,
        };
        tracing::warn!(execution = %execution.id, step = step.name(), %failed, "a step failed");
        if superseded(application, execution) {
            return Err(format!("{}: a newer epoch came first", step.name()));
        }
        if may_give_up(application, execution) {
            return Err(format!("{}: {failed}", step.name()));
        }
        if tries == TRIES_BEFORE_STUCK {
            execution.state = ExecutionState::Stuck;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    execution.state = ExecutionState::Running;
    Ok(())
}

async fn attempt(
    application: &Arc<Application>,
    execution: &mut Execution,
    index: usize,
    step: Step,
) -> Result<(), StepError> {
    note(execution, index, StepState::Intent, String::new());
    journal(application, execution, "step-intent").await.map_err(StepError::new)?;
    let made = step.make(application, execution).await;
    let (state, detail) = match &made {
        Ok(detail) => (StepState::Done, detail.clone()),
        Err(why) => (StepState::Failed, why.to_string()),
    };
    tracing::info!(execution = %execution.id, step = step.name(), detail, "step");
    note(execution, index, state, detail);
    let kind = if made.is_ok() { "step-done" } else { "step-failed" };
    journal(application, execution, kind).await.map_err(StepError::new)?;
    made.map(drop)
}

fn note(execution: &mut Execution, index: usize, state: StepState, detail: String) {
    let Some(record) = execution.steps.get_mut(index) else { return };
    record.state = state;
    record.detail = detail;
    let now = Some(unix_micros());
    match state {
        StepState::Intent => record.started_micros = record.started_micros.or(now),
        _ => record.ended_micros = now,
    }
}

/// The journal first, then the ledger; both durable.
async fn journal(
    application: &Application,
    execution: &Execution,
    kind: &'static str,
) -> Result<(), AgentError> {
    application.keep_execution(execution).await?;
    application.enter(kind, json!({"execution": execution})).await
}

/// Before the claim of a planned move the former active site can simply go on.
fn may_give_up(application: &Application, execution: &Execution) -> bool {
    let known = application.known();
    let claimed = known.facts.highest >= execution.epoch || known.facts.claim_is_open();
    execution.kind == ExecutionKind::Switchover && !claimed
}

fn superseded(application: &Application, execution: &Execution) -> bool {
    application.known().facts.highest > execution.epoch
}

/// Ends an execution that did not pass the claim; the active site is told to go on.
pub async fn give_up(application: &Arc<Application>, mut execution: Execution, why: &str) {
    let request = StepRequest {
        application: application.spec.name.clone(),
        execution: execution.id.clone(),
        epoch: application.known().facts.highest,
        to: execution.to.clone(),
        hold_ms: 0,
    };
    let active = execution.from.as_ref().and_then(|site| application.context.peers.get(site));
    let mut told = "the active site goes on".to_owned();
    if let (ExecutionKind::Switchover, Some(peer)) = (execution.kind, active) {
        let asked: Result<Done, _> = peer.post("/v1/peer/resume", &request, RESUME_TIMEOUT).await;
        if let Err(failed) = asked {
            told = format!("the active site goes on by itself when its hold ends ({failed})");
        }
    }
    application.learn(|known| known.facts.hold = None);
    if let Err(failed) = steps::pin::undo(application, &execution).await {
        told.push_str(&format!("; a slot pinned for the move was not dropped: {failed}"));
    }
    let reason = format!("{why}; {told}");
    finish(application, &mut execution, ExecutionState::Aborted, Some(reason)).await;
}

async fn finish(
    application: &Application,
    execution: &mut Execution,
    state: ExecutionState,
    reason: Option<String>,
) {
    execution.state = state;
    execution.ended_micros = Some(unix_micros());
    if let Some(reason) = reason {
        execution.facts.insert("reason".to_owned(), json!(reason));
    }
    application.learn(|known| {
        known.facts.hold = None;
        // A person's word on the loss was for this execution.
        known.facts.order = None;
    });
    if let Err(why) = journal(application, execution, "execution-ended").await {
        tracing::error!(execution = %execution.id, %why, "the end of an execution was not recorded");
    }
    let took = execution.ended_micros.unwrap_or_default() - execution.started_micros;
    tracing::info!(execution = %execution.id, ?state, took_ms = took / 1000, "execution ended");
}
