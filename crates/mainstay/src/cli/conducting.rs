//! `mainstay run`: an execution as it goes, and what people answer it.

use super::output::{BAD, CARE, styled};
use super::{Context, Failure, failure, follow};
use clap::Subcommand;
use mainstay_agent::Answer;
use mainstay_agent::Heard;
use mainstay_agent::types::{Execution, RunAnswered, RunRequest};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The newest execution, its steps and what it asks
    Show(Which),
    /// Join the newest execution and stay until it ends; leaving changes nothing
    Watch(Which),
    /// Make the step again that an execution is stuck at
    Retry(Word),
    /// Go on without that step; a fence takes two people
    Skip(Word),
    /// Give a switchover up before its epoch is claimed; what was done is taken back
    Abort(Word),
    /// Give what an approve step waits for
    Resume(Word),
}

#[derive(Debug, clap::Args)]
pub struct Which {
    /// The execution; the newest when left out
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Word {
    /// The execution; the newest that waits when left out
    id: Option<String>,
    /// The step; not needed when only one waits
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Show(which) => {
            let execution = find(which, context).await?;
            context.show(&execution, shown)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Watch(which) => {
            let execution = find(which, context).await?;
            follow::watch(execution, &context.client().await?, context).await
        }
        Command::Retry(word) => answer(Answer::Retry, word, context).await,
        Command::Skip(word) => answer(Answer::Skip, word, context).await,
        Command::Abort(word) => answer(Answer::Abort, word, context).await,
        Command::Resume(word) => answer(Answer::Resume, word, context).await,
    }
}

async fn find(which: Which, context: &Context) -> Result<Execution, Failure> {
    let all: Vec<Execution> = context.client().await?.get("/v1/executions").await?;
    let is_it = |it: &&Execution| which.id.as_ref().is_none_or(|id| *id == it.id);
    all.iter().find(is_it).cloned().ok_or_else(|| {
        failure::not_found("execution", which.id.as_deref().unwrap_or("yet"), "mainstay executions")
    })
}

async fn answer(answer: Answer, word: Word, context: &Context) -> Result<ExitCode, Failure> {
    let Word { id, step, reason } = word;
    let reason = failure::plain(reason)?;
    let request = RunRequest { execution: id, step, answer, reason };
    let answered: RunAnswered = context.client().await?.post("/v1/run", &request).await?;
    context.show(&answered, told)?;
    Ok(match answered.heard {
        Heard::Taken => ExitCode::SUCCESS,
        Heard::OneOfTwo => ExitCode::FAILURE,
    })
}

fn told(answered: &RunAnswered) -> String {
    let RunAnswered { execution, step, answer, heard } = answered;
    let whole = if step == "*" { String::new() } else { format!(" of {step}") };
    match heard {
        Heard::Taken => {
            format!("{} was heard{whole}; watch it: mainstay run watch\n", answer.name())
        }
        Heard::OneOfTwo => format!(
            "{}\n  somebody else, an approver, types: mainstay run {} {execution} --step {step} \
             --reason TEXT\n",
            styled(CARE, "not yet: it takes another person"),
            answer.name(),
        ),
    }
}

/// Its steps, what it asks, and what to type.
fn shown(execution: &Execution) -> String {
    let mut out = follow::whole(execution);
    for question in &execution.questions {
        out += &format!("\n{} asks: {}\n", styled(BAD, &question.step), question.what);
        for answer in &question.answers {
            let (verb, id, step) = (answer.name(), &execution.id, &question.step);
            out += &format!("  mainstay run {verb} {id} --step {step} --reason TEXT\n");
        }
    }
    out
}
