//! The live view of an execution: on a terminal it is redrawn, in a pipe each step is one line as
//! it ends. Leaving it changes nothing: the execution goes on, and can be joined again.

use super::executions::{state, title};
use super::output::{BAD, CARE, DIM, GOOD, STRONG, remark, say, styled};
use super::text::{between, seconds, seconds_or};
use super::{Context, Failure, receipt, site};
use crate::client::{Client, ClientError};
use mainstay_agent::types::{Execution, ExecutionState, StepRecord, StepState};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::SignalKind;

const EVERY: Duration = Duration::from_millis(200);
/// An agent that restarts takes its execution up again; so long the view waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The agent's code for an execution that it does not know.
const NOT_HEARD_OF: &str = "MS-AGENT-013";

/// Shows the execution until it ends. Success only when it was seen to succeed.
pub async fn follow(
    execution: Execution,
    client: &Client,
    context: &Context,
) -> Result<ExitCode, Failure> {
    join(execution, client, context, View::new(context), false).await
}

/// The same through what a person is asked; with `--output json` each change is a line.
pub async fn watch(
    execution: Execution,
    client: &Client,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let view = match context.json() {
        true => View::Stream { told: Vec::new() },
        false => View::new(context),
    };
    join(execution, client, context, view, true).await
}

async fn join(
    execution: Execution,
    client: &Client,
    context: &Context,
    mut view: View,
    waits: bool,
) -> Result<ExitCode, Failure> {
    // Listened for before anything is shown, since a person may answer at once.
    let mut interrupt = site::listen(SignalKind::interrupt())?;
    view.show(&execution);
    tokio::select! {
        ended = until_it_ends(execution, client, &mut view, waits) => {
            let ended = ended?;
            match view {
                View::Stream { .. } => Ok(code(&ended)),
                _ => finish(&ended, context),
            }
        }
        _ = interrupt.recv() => {
            remark("left it; it goes on. To join it again: mainstay executions --follow");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn until_it_ends(
    mut execution: Execution,
    client: &Client,
    view: &mut View,
    waits: bool,
) -> Result<Execution, Failure> {
    let path = format!("/v1/executions/{}", execution.id);
    let mut answered = Instant::now();
    let stays = |state| match state {
        ExecutionState::Running => true,
        ExecutionState::Stuck => waits,
        ExecutionState::Succeeded | ExecutionState::Aborted => false,
    };
    while stays(execution.state) {
        tokio::time::sleep(EVERY).await;
        match client.get(&path).await {
            Ok(newer) => {
                answered = Instant::now();
                execution = newer;
                view.show(&execution);
            }
            Err(error) if may_pass(&error) && answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(execution)
}

/// The agent restarts, or it has not yet heard of an execution that the other site conducts.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Silent { .. } => true,
        ClientError::Refused(refusal) => refusal.code == NOT_HEARD_OF,
        ClientError::Strange { .. } => false,
    }
}

fn finish(execution: &Execution, context: &Context) -> Result<ExitCode, Failure> {
    if context.json() {
        context.show(execution, |_| String::new())?;
    } else {
        say(&outcome(execution));
    }
    Ok(code(execution))
}

fn code(execution: &Execution) -> ExitCode {
    match execution.state {
        ExecutionState::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn outcome(execution: &Execution) -> String {
    let took = between(Some(execution.started_micros), execution.ended_micros);
    let took = seconds_or(took, "an unknown time");
    let then = match execution.state {
        ExecutionState::Running | ExecutionState::Succeeded => return succeeded(execution, &took),
        ExecutionState::Aborted => "the application stays where it was",
        ExecutionState::Stuck => "it waits for you: mainstay run show",
    };
    let state = state(execution.state);
    format!("{}: {state} after {took}; {then}. Next: mainstay status\n", title(execution))
}

fn succeeded(execution: &Execution, took: &str) -> String {
    format!("{}: {} in {took}\n", title(execution), state(execution.state))
}

/// What has been shown so far.
enum View {
    /// The lines drawn last, which the next drawing replaces.
    Terminal { lines: usize },
    /// How many steps were told.
    Pipe { told: usize },
    /// Only the end counts.
    Silent,
    /// The steps as they were told last.
    Stream { told: Vec<StepRecord> },
}

impl View {
    fn new(context: &Context) -> Self {
        match (context.json(), std::io::stdout().is_terminal()) {
            (true, _) => View::Silent,
            (false, true) => View::Terminal { lines: 0 },
            (false, false) => View::Pipe { told: 0 },
        }
    }

    fn show(&mut self, execution: &Execution) {
        match self {
            View::Silent => {}
            View::Stream { told } => {
                for step in execution.steps.iter().filter(|step| !told.contains(step)) {
                    let (id, state) = (&execution.id, execution.state);
                    say(&format!("{}\n", json!({"execution": id, "state": state, "step": step})));
                }
                told.clone_from(&execution.steps);
            }
            View::Terminal { lines } => {
                let text = table(execution) + &budget(execution) + &questions(execution);
                let up = if *lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() };
                // Without wrapping (DECAWM) a long line stays one line, and the count is right.
                say(&format!("{up}\x1b[?7l{text}\x1b[?7h"));
                *lines = text.matches('\n').count();
            }
            View::Pipe { told } => {
                let ended: Vec<_> =
                    execution.steps.iter().take_while(|step| has_ended(step)).collect();
                ended.iter().skip(*told).for_each(|step| say(&one(step)));
                *told = ended.len().max(*told);
            }
        }
    }
}

fn has_ended(step: &StepRecord) -> bool {
    !matches!(step.state, StepState::Pending | StepState::Intent)
}

/// All steps, how the fence was confirmed, and how it ended if it did.
pub fn whole(execution: &Execution) -> String {
    let shown = table(execution) + &receipt::of(execution);
    match execution.state {
        ExecutionState::Running => shown,
        _ => shown + &outcome(execution),
    }
}

fn table(execution: &Execution) -> String {
    let head = format!("{}, epoch {} ({})\n", title(execution), execution.epoch, execution.id);
    let steps: String = execution.steps.iter().map(one).collect();
    styled(STRONG, head.trim_end()) + "\n" + &steps
}

/// What of the objective is used; the clock runs from the last sign of life.
fn budget(execution: &Execution) -> String {
    let Some(pinned) = &execution.runbook else { return String::new() };
    let seen = execution.facts.get("last_renewal_seen_micros").and_then(Value::as_i64);
    let now = execution.ended_micros.unwrap_or_else(mainstay_agent::time::unix_micros);
    let began = seen.unwrap_or(execution.started_micros);
    let used = between(Some(began), Some(now)).unwrap_or_default();
    let style = if used > pinned.rto_s { BAD } else { GOOD };
    let text = format!("{} of the RTO of {}", seconds(used), seconds(pinned.rto_s));
    format!("  {}\n", styled(style, text))
}

fn questions(execution: &Execution) -> String {
    let one = |it: &mainstay_agent::Question| {
        let what = it.what.replace('\n', " ");
        format!("  {} asks: {what}; see mainstay run show\n", styled(BAD, &it.step))
    };
    execution.questions.iter().map(one).collect()
}

fn one(step: &StepRecord) -> String {
    let (style, word) = match step.state {
        StepState::Pending => (DIM, "-"),
        StepState::Intent => (CARE, "now"),
        StepState::Done => (GOOD, "done"),
        StepState::Failed => (BAD, "failed"),
        StepState::Skipped => (DIM, "left"),
        StepState::Undone => (CARE, "undone"),
    };
    let took = between(step.started_micros, step.ended_micros).map_or_else(String::new, seconds);
    // A detail of several lines would break the redrawing.
    let detail = step.detail.replace('\n', " ");
    let line = format!("{:<6} {:<16} {took:>8}  {detail}", word, step.name);
    format!("  {}{}\n", styled(style, &line[..6]), line[6..].trim_end())
}
