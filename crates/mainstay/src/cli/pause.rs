//! `mainstay pause` and `mainstay resume`: whether failovers may begin by themselves.

use super::text::seconds;
use super::{Context, Failure, failure, moves};
use mainstay_agent::types::{PauseRequest, PauseView, Paused, ResumeRequest, Resumed};
use mainstay_core::ApplicationName;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Pause {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
    /// Why, for the ledger and for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how long, up to 24h; it ends by itself
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = moves::span)]
    length: Duration,
}

#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
}

pub async fn pause(args: Pause, context: &Context) -> Result<ExitCode, Failure> {
    let request = PauseRequest {
        application: args.application,
        reason: failure::plain(args.reason)?,
        for_s: args.length.as_secs(),
    };
    let paused: Paused = context.client().await?.post("/v1/pause", &request).await?;
    context.show(&paused, |Paused { application, pause }| {
        format!(
            "{application}: no failover begins by itself for {}, at any site; people can still \
             order one\nto end it sooner: mainstay resume {application}\n",
            seconds(pause.left_s)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

pub async fn resume(args: Resume, context: &Context) -> Result<ExitCode, Failure> {
    let request = ResumeRequest { application: args.application };
    let resumed: Resumed = context.client().await?.post("/v1/resume", &request).await?;
    context.show(&resumed, |Resumed { application, was }| match was {
        Some(was) => format!("{application}: what begins by itself does again; {}\n", told(was)),
        None => format!("{application} was not paused\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `alice had paused it at east (new disks); 42 min were left`
fn told(was: &PauseView) -> String {
    let PauseView { by, site, reason, left_s, .. } = was;
    format!("{by} had paused it at {site} ({reason}); {} were left", seconds(*left_s))
}
