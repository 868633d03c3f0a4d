//! `mainstay runbook`: what a move consists of, the built-in steps and a person's own.

use super::output::{CARE, STRONG, styled};
use super::text::{seconds, table};
use super::{Context, Failure, failure};
use clap::Subcommand;
use mainstay_agent::types::{RunbookView, StepView};
use mainstay_core::ApplicationName;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The runbooks of every application
    List,
    /// One runbook with its steps
    Show {
        /// failover, switchover, failback or rejoin
        name: String,
        /// The application; not needed when there is only one
        application: Option<ApplicationName>,
    },
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let all: Vec<RunbookView> = context.client().await?.get("/v1/runbooks").await?;
    match command {
        Command::List => context.show(&all, |all| list(all))?,
        Command::Show { name, application } => {
            let is_it = |it: &&RunbookView| {
                it.name == name && application.as_ref().is_none_or(|name| *name == it.application)
            };
            let found: Vec<&RunbookView> = all.iter().filter(is_it).collect();
            if found.is_empty() {
                return Err(failure::not_found("runbook", &name, "mainstay runbook list"));
            }
            context.show(&found, |found| found.iter().map(|it| shown(it)).collect())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[RunbookView]) -> String {
    let rows = all.iter().map(|it| {
        let names: Vec<&str> = it.steps.iter().map(|step| step.name.as_str()).collect();
        [it.application.to_string(), it.name.clone(), names.join(" ")]
    });
    table(["application", "runbook", "steps"], rows)
}

fn shown(runbook: &RunbookView) -> String {
    let title = format!("{} {}", runbook.name, runbook.application);
    let hash = runbook.hash.as_ref().map_or_else(String::new, |hash| format!(" ({hash})"));
    let rows = runbook.steps.iter().enumerate().map(|(index, step)| row(index, step));
    let header = ["", "step", "kind", "what is done", "when", "try", "undo"];
    format!("{}{hash}\n\n{}\n", styled(STRONG, title), table(header, rows))
}

fn row(index: usize, step: &StepView) -> [String; 7] {
    let marks = [
        step.point_of_no_return.then(|| styled(CARE, " (no return)")),
        step.optional.then(|| " (optional)".to_owned()),
        step.group.as_ref().map(|group| format!(" [{group}]")),
    ];
    let marks: String = marks.into_iter().flatten().collect();
    let tried = match (step.timeout_s, step.tries) {
        (Some(timeout), Some(tries)) => format!("{tries} x {}", seconds(timeout)),
        _ => "until done".to_owned(),
    };
    [
        (index + 1).to_string(),
        format!("{}{marks}", step.name),
        step.kind.clone(),
        step.what.clone(),
        step.condition.clone().unwrap_or_else(|| "always".to_owned()),
        tried,
        step.undo.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
