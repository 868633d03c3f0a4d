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

pub async fn switchover(args: Switchover, context: &Context) -> Result<ExitCode, Failure> {
    start("/v1/switchover", args.what, None, context).await
}

pub async fn failover(args: Failover, context: &Context) -> Result<ExitCode, Failure> {
    start("/v1/failover", args.what, args.accept_loss, context).await
}

async fn start(
    path: &str,
    what: What,
    accept_loss: Option<Duration>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let client = context.client().await;
    let no_wait = what.no_wait;
    let request = MoveRequest {
        application: what.application,
        to: what.to,
        accept_loss_s: accept_loss.map(|loss| loss.as_secs_f64()),
        reason: failure::plain(what.reason)?,
        by: None,
    };
    // A failover answers when it begins, and that may be a lease away.
    let execution: Execution = client.post(path, &request).await?;
    if no_wait {
        context.show(&execution, follow::whole)?;
        return Ok(ExitCode::SUCCESS);
    }
    follow::follow(execution, &client, context).await
}
