//! `mainstay switchover` and `mainstay failover`: start one, and watch it.

use super::{Context, Failure, failure, follow};
use crate::config::duration;
use mainstay_agent::api::types::{Execution, MoveRequest};
use mainstay_core::{ApplicationName, SiteName};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Switchover {
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
pub struct Failover {
    #[command(flatten)]
    what: What,
    /// Go on although up to so much acknowledged work would be lost, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = span)]
    accept_loss: Option<Duration>,
    /// Do not wait for the lease: you have made sure yourself that the active site is off, and
    /// say how. If it is not off, both sites accept writes
    #[arg(long, value_name = "TEXT", value_parser = word)]
    fenced_by_hand: Option<String>,
}

#[derive(Debug, clap::Args)]
struct What {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
    /// The site to move to; not needed when there is only one other
    #[arg(long, value_name = "SITE")]
    to: Option<SiteName>,
    /// Why, for the ledger
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Start it and leave; watch it with `mainstay executions --follow`
    #[arg(long)]
    no_wait: bool,
}

pub fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write a duration such as 500ms, 30s or 2m".to_owned())
}

fn word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say how you know that the site is off".to_owned()),
        text => Ok(text.to_owned()),
    }
}

pub async fn switchover(args: Switchover, context: &Context) -> Result<ExitCode, Failure> {
    start("/v1/switchover", args.what, MoveRequest::default(), context).await
}

pub async fn failover(args: Failover, context: &Context) -> Result<ExitCode, Failure> {
    let request = MoveRequest {
        accept_loss_s: args.accept_loss.map(|loss| loss.as_secs_f64()),
        fenced_by_hand: args.fenced_by_hand.map(failure::plain).transpose()?,
        ..MoveRequest::default()
    };
    start("/v1/failover", args.what, request, context).await
}

async fn start(
    path: &str,
    what: What,
    request: MoveRequest,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let client = context.client().await;
    let no_wait = what.no_wait;
    let request = MoveRequest {
        application: what.application,
        to: what.to,
        reason: failure::plain(what.reason)?,
        ..request
    };
    // A failover answers when it begins, and that may be a lease away.
    let execution: Execution = client.post(path, &request).await?;
    if no_wait {
        context.show(&execution, follow::whole)?;
        return Ok(ExitCode::SUCCESS);
    }
    follow::follow(execution, &client, context).await
}
