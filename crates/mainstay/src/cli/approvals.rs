//! `mainstay requests`, `mainstay approve` and `mainstay withdraw`: what takes another person.

use super::output::{BAD, CARE, STRONG, remark, styled};
use super::text::{moment, seconds, table};
use super::{Context, Failure, consent, failure, moves};
use crate::client::Client;
use mainstay_agent::types::{ApprovalRequest, Execution, RequestId, RequestState};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The request, as `mainstay requests` names it
    id: String,
    /// Do not show the request on a terminal and ask
    #[arg(long)]
    yes: bool,
    /// Start it and leave; watch it with `mainstay executions --follow`
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, clap::Args)]
pub struct Withdraw {
    /// The request, as `mainstay requests` names it
    id: String,
}

pub async fn list(context: &Context) -> Result<ExitCode, Failure> {
    let all = all(&context.client().await?).await?;
    context.show(&all, |all| listing(all))?;
    Ok(ExitCode::SUCCESS)
}

async fn all(client: &Client) -> Result<Vec<ApprovalRequest>, Failure> {
    Ok(client.get("/v1/requests").await?)
}

/// Shows a person what it is before the word is given.
pub async fn approve(args: Approve, context: &Context) -> Result<ExitCode, Failure> {
    let client = context.client().await?;
    let id = failure::id(args.id)?;
    if !args.yes && consent::is_possible(context) {
        let open = all(&client).await?.into_iter().find(|it| it.id == id && is_open(it));
        let request =
            open.ok_or_else(|| failure::not_found("open request", &id, "mainstay requests"))?;
        if !consent::given(&described(&request), "approve this?")? {
            remark("nothing was done");
            return Ok(ExitCode::FAILURE);
        }
    }
    let execution: Execution = client.post("/v1/approve", &RequestId { id }).await?;
    moves::watch(execution, args.no_wait, &client, context).await
}

pub async fn withdraw(args: Withdraw, context: &Context) -> Result<ExitCode, Failure> {
    let request = RequestId { id: failure::id(args.id)? };
    let client = context.client().await?;
    let ended: ApprovalRequest = client.post("/v1/withdraw", &request).await?;
    context.show(&ended, |it| format!("{} of {} is withdrawn {}\n", it.id, it.by, it.detail))?;
    Ok(ExitCode::SUCCESS)
}

fn is_open(request: &ApprovalRequest) -> bool {
    request.state == RequestState::Open
}

/// What the requester is told, who now needs somebody else.
pub fn asked(request: &ApprovalRequest) -> String {
    format!(
        "{}{}\n  somebody else, an approver, types within {}: mainstay approve {}\n  to take it \
         back: mainstay withdraw {}\n",
        described(request),
        styled(CARE, "not begun: it takes another person"),
        seconds(request.left_s),
        request.id,
        request.id,
    )
}

fn described(request: &ApprovalRequest) -> String {
    let ApprovalRequest { id, application, from, to, epoch, by, reason, plan, .. } = request;
    let title = format!("failover {application} {from} -> {to}");
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let mut out = format!("{}, epoch {epoch}, request {id}\n", styled(STRONG, title));
    out += &format!("asked by     {by}{reason}, {}\n", moment(request.asked_micros));
    out += &format!("loses now    {}\n", loss(request));
    if let Some(text) = &request.fenced_by_hand {
        out += &format!("forces       {} ({text})\n", styled(BAD, "the lease, by a person's word"));
    }
    match request.forced.is_empty() && request.fenced_by_hand.is_none() {
        true => out += "forces       nothing: an approver's word is missing\n",
        false => {
            for forced in &request.forced {
                out += &format!("forces       {} ({})\n", styled(BAD, &forced.what), forced.name);
            }
        }
    }
    match plan.is_empty() {
        true => out,
        false => out + &format!("this plan    {plan}\n"),
    }
}

fn loss(request: &ApprovalRequest) -> String {
    let bound = match request.loss_bound_s {
        None => styled(BAD, "unknown: the lag cannot be known now"),
        Some(bound) => {
            styled(CARE, format!("at most the last {} of acknowledged work", seconds(bound)))
        }
    };
    match request.accept_loss_s {
        None => bound,
        Some(accepted) => format!("{bound}; up to {} is accepted", seconds(accepted)),
    }
}

fn listing(all: &[ApprovalRequest]) -> String {
    let Some(newest) = all.iter().find(|it| is_open(it)) else {
        let ended = if all.is_empty() { String::new() } else { rows(all) };
        return format!("{ended}nothing waits for approval\n");
    };
    format!("{}approve it, if you did not ask for it: mainstay approve {}\n", rows(all), newest.id)
}

fn rows(all: &[ApprovalRequest]) -> String {
    table(
        ["id", "what", "forces", "asked by", "asked", "state"],
        all.iter().map(|it| {
            let forces: Vec<&str> = it.forced.iter().map(|forced| forced.name.as_str()).collect();
            let state = match it.state {
                RequestState::Open => format!("open for {}", seconds(it.left_s)),
                ended => format!("{}: {}", ended.name(), it.detail),
            };
            [
                it.id.clone(),
                format!("failover {} {} -> {}", it.application, it.from, it.to),
                if forces.is_empty() { "nothing".to_owned() } else { forces.join(", ") },
                it.by.clone(),
                moment(it.asked_micros),
                state,
            ]
        }),
    )
}
