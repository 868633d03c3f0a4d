//! `mainstay plan`: exactly what would be done, and lost, if it began now.

use super::context::Side;
use super::executions::kind;
use super::output::{BAD, CARE, GOOD, STRONG, styled};
use super::text::{seconds, seconds_or, table};
use super::{Context, Failure};
use clap::ValueEnum;
use mainstay_agent::types::{ExecutionKind, Plan};
use mainstay_core::ApplicationName;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    kind: Kind,
    /// The application; not needed when there is only one
    application: Option<ApplicationName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Away from a site that is lost
    Failover,
    /// Planned, losing nothing
    Switchover,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let kind = match args.kind {
        Kind::Failover => "failover",
        Kind::Switchover => "switchover",
    };
    // The site that would take over knows what stands in its way.
    let client = context.client_of(Side::Standby).await?;
    let plan: Plan = client.get(&path(kind, args.application.as_ref())).await?;
    context.show(&plan, text)?;
    Ok(ExitCode::SUCCESS)
}

pub fn path(kind: &str, application: Option<&ApplicationName>) -> String {
    let application = application.map_or_else(String::new, |name| format!("&application={name}"));
    format!("/v1/plan?kind={kind}{application}")
}

pub fn text(plan: &Plan) -> String {
    let from = plan.from.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
    let title = format!("{} {} {from} -> {}", kind(plan.kind), plan.application, plan.to);
    let mut out = format!("{}, epoch {}\n\n{}\n", styled(STRONG, title), plan.epoch, steps(plan));
    out += &format!("loses now    {}\n", loss(plan));
    out += &format!("last took    {}\n", seconds_or(plan.last_took_s, "never done yet"));
    out += &time(plan);
    for step in &plan.steps {
        for why in &step.missing {
            out += &format!("missing      {}\n", styled(BAD, format!("{}: {why}", step.name)));
        }
    }
    if let Some(means) = plan.returning.as_ref().and_then(super::way_back::means) {
        out += &format!("came back    {means}\n");
    }
    if let Some(hash) = &plan.hash {
        out += &format!("this plan    {hash}\n");
    }
    out + &way(plan)
}

fn steps(plan: &Plan) -> String {
    let rows = plan.steps.iter().enumerate().map(|(index, step)| {
        let no_return = if step.point_of_no_return { " (no return)" } else { "" };
        let name = format!("{}{no_return}", step.name);
        let number = (index + 1).to_string();
        [number, name, step.what.clone(), seconds_or(step.last_took_s, "-")]
    });
    table(["", "step", "what is done", "last took"], rows)
}

/// What is expected of past executions, and what it leaves of the objective.
fn time(plan: &Plan) -> String {
    let (Some(expected), Some(left)) = (plan.expected_s, plan.rto_left_s) else {
        return String::new();
    };
    let left = match left < 0.0 {
        true => styled(BAD, format!("{} beyond the RTO", seconds(-left))),
        false => styled(GOOD, format!("{} of the RTO are left", seconds(left))),
    };
    format!("should take  {} for its steps; {left}\n", seconds(expected))
}

fn loss(plan: &Plan) -> String {
    match (plan.kind, plan.loss_bound_s) {
        (ExecutionKind::Switchover, _) => styled(GOOD, "nothing"),
        (ExecutionKind::Failover, None) => styled(BAD, "unknown: the lag cannot be known now"),
        (ExecutionKind::Failover, Some(bound)) => {
            styled(CARE, format!("at most the last {} of acknowledged work", seconds(bound)))
        }
    }
}

fn way(plan: &Plan) -> String {
    if plan.refusals.is_empty() {
        let command = format!("mainstay {} {} --to {}", kind(plan.kind), plan.application, plan.to);
        return format!("in the way   {}\nstart it     {command}\n", styled(GOOD, "nothing"));
    }
    let one = |refusal: &mainstay_agent::types::Refusal| {
        format!("in the way   {}\n  next       {}\n", styled(BAD, &refusal.what), refusal.advice)
    };
    plan.refusals.iter().map(one).collect()
}
