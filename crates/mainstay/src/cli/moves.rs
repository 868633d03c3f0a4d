//! `mainstay switchover` and `mainstay failover`: start one, and watch it.

use super::output::remark;
use super::{Context, Failure, approvals, consent, failure, follow, plan};
use crate::client::{Client, ClientError};
use crate::config::duration;
use mainstay_agent::types::{Begun, Execution, MoveRequest, Plan};
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
    /// Only if the plan is still this one, as `mainstay plan failover` names it
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Do not show the plan on a terminal and ask
    #[arg(long)]
    yes: bool,
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
    let client = context.client().await?;
    let request = args.what.request()?;
    // It answers when it begins.
    let execution: Execution = client.post("/v1/switchover", &request).await?;
    watch(execution, args.what.no_wait, &client, context).await
}

pub async fn failover(args: Failover, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    let mut request = MoveRequest {
        accept_loss_s: args.accept_loss.map(|loss| loss.as_secs_f64()),
        fenced_by_hand: args.fenced_by_hand.map(failure::plain).transpose()?,
        plan: args.plan,
        ..args.what.request()?
    };
    let asks = !args.yes && request.plan.is_none() && consent::is_possible(context);
    loop {
        if asks {
            let plan: Plan =
                client.get(&plan::path("failover", request.application.as_ref())).await?;
            if !consent::given(&plan::text(&plan), "fail over like this?")? {
                remark("nothing was done");
                return Ok(ExitCode::FAILURE);
            }
            request.plan = plan.hash;
        }
        // A failover answers when it begins, and that may be a lease away.
        match client.post("/v1/failover", &request).await {
            Ok(Begun::Begun(execution)) => {
                return watch(execution, args.what.no_wait, &client, context).await;
            }
            Ok(Begun::Asked { request }) => {
                context.show(&request, approvals::asked)?;
                return Ok(ExitCode::FAILURE);
            }
            Err(ClientError::Refused(refusal)) if asks && refusal.code == PLAN_CHANGED => {
                remark(&refusal.message);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The agent's code for a plan that is not any more what was shown.
const PLAN_CHANGED: &str = "MS-PEOPLE-007";

impl What {
    fn request(&self) -> Result<MoveRequest, Failure> {
        Ok(MoveRequest {
            application: self.application.clone(),
            to: self.to.clone(),
            reason: failure::plain(self.reason.clone())?,
            ..MoveRequest::default()
        })
    }
}

pub async fn watch(
    execution: Execution,
    no_wait: bool,
    client: &Client,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if no_wait {
        context.show(&execution, follow::whole)?;
        return Ok(ExitCode::SUCCESS);
    }
    follow::follow(execution, client, context).await
}
