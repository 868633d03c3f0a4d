//! `mainstay executions`: every failover and switchover so far, or one of them as it goes.

use super::output::{BAD, CARE, GOOD, styled};
use super::text::{between, moment, seconds_or, table};
use super::{Context, Failure, failure, follow};
use mainstay_agent::types::{Execution, ExecutionKind, ExecutionState};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One execution with its steps
    pub id: Option<String>,
    /// Join the newest execution, or the one named, and stay until it ends
    #[arg(long)]
    pub follow: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    let all: Vec<Execution> = client.get("/v1/executions").await?;
    let chosen = match &args.id {
        Some(id) => Some(find(&all, id)?),
        None => all.first().filter(|_| args.follow),
    };
    match chosen {
        Some(execution) if args.follow => follow::follow(execution.clone(), &client, context).await,
        Some(execution) => {
            context.show(execution, follow::whole)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            context.show(&all, |all| list(all))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn find<'a>(all: &'a [Execution], id: &str) -> Result<&'a Execution, Failure> {
    let found = all.iter().find(|execution| execution.id == id);
    found.ok_or_else(|| failure::not_found("execution", id, "mainstay executions"))
}

/// `failover bank east -> west`
pub fn title(execution: &Execution) -> String {
    let from = execution.from.as_ref().map_or_else(String::new, |from| format!("{from} -> "));
    format!("{} {} {from}{}", kind(execution.kind), execution.application, execution.to)
}

pub fn kind(kind: ExecutionKind) -> &'static str {
    match kind {
        ExecutionKind::Failover => "failover",
        ExecutionKind::Switchover => "switchover",
    }
}

pub fn state(state: ExecutionState) -> String {
    let style = match state {
        ExecutionState::Running => CARE,
        ExecutionState::Succeeded => GOOD,
        ExecutionState::Aborted | ExecutionState::Stuck => BAD,
    };
    styled(style, state_word(state))
}

fn list(all: &[Execution]) -> String {
    if all.is_empty() {
        return "no failover or switchover yet; see what one would do: mainstay plan switchover\n"
            .to_owned();
    }
    let took = |e: &Execution| between(Some(e.started_micros), e.ended_micros);
    table(
        ["id", "what", "epoch", "state", "began", "took", "asked for by"],
        all.iter().map(|execution| {
            [
                execution.id.clone(),
                title(execution),
                execution.epoch.to_string(),
                state_word(execution.state).to_owned(),
                moment(execution.started_micros),
                seconds_or(took(execution), "-"),
                execution.requested_by.clone(),
            ]
        }),
    )
}

fn state_word(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Running => "running",
        ExecutionState::Succeeded => "succeeded",
        ExecutionState::Aborted => "aborted",
        ExecutionState::Stuck => "stuck",
    }
}
