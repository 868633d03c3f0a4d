//! A person's word on what this site had received, and lost again with its own agent, after it had
//! claimed.

use super::failover::{self, Wanted};
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::people::requests::Standing;
use crate::runbook::Step;
use crate::runbook::steps::drain;
use crate::types::{Begun, Execution, ExecutionKind, MoveRequest, StepState};
use mainstay_core::decision::{Hindrance, Order, Outweighs};
use mainstay_core::people::{Force, Role};
use serde_json::json;
use std::time::Duration;

const EXECUTIONS: &str = "follow it with `mainstay executions`";

/// Has the execution that waits for this word here go on by itself, or keeps a request for it.
pub async fn loss(
    application: &Application,
    kind: ExecutionKind,
    request: &MoveRequest,
    asker: &Asker,
) -> Result<Option<Begun>, Refused> {
    let asked = kind == ExecutionKind::Failover;
    let Some(execution) = waiting(application).filter(|_| asked) else { return Ok(None) };
    let lost = lost(&execution)?;
    let accept_loss = request.accept_loss_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    if lost.exceeds(accept_loss) {
        let advice = "accept that with --accept-loss, or start the failed site";
        return Err(refused(format!("{} goes on only without {lost}", execution.id), advice));
    }
    let alone = asker.role >= Role::Approver && application.spec.force == Force::One;
    if !alone {
        let from = execution.from.clone().unwrap_or_else(|| execution.to.clone());
        let wanted = Wanted {
            from,
            epoch: execution.epoch,
            plan: String::new(),
            loss_bound_s: execution.facts.get("loss_bound_s").and_then(serde_json::Value::as_f64),
            forced: vec![lost],
            accept_loss,
        };
        return failover::keep(application, request, asker, wanted).await.map(Some);
    }
    let body = json!({"kind": kind, "to": application.here(), "by": asker.name,
        "reason": request.reason, "accept_loss_s": request.accept_loss_s});
    failover::enter(application, "order", body).await?;
    let order = Order { accept_loss, outweighs: Outweighs::These(vec![lost]) };
    give(application, order).map(|execution| Some(Begun::Begun(execution)))
}

/// What stands in the way of the execution that waits: the loss, and nothing else any more.
pub fn standing(execution: &Execution) -> Result<Standing, Refused> {
    Ok(Standing { epoch: execution.epoch, hindrances: vec![lost(execution)?], lease_runs: false })
}

/// The order counts until the execution ends.
pub fn give(application: &Application, order: Order) -> Result<Execution, Refused> {
    let over = || refused("nothing waits for this word any more".to_owned(), EXECUTIONS);
    let execution = waiting(application).ok_or_else(over)?;
    application.learn(|known| known.facts.order = Some(order));
    Ok(execution)
}

fn lost(execution: &Execution) -> Result<Hindrance, Refused> {
    drain::arrived_lost(execution).ok_or_else(|| {
        let what = format!("nobody knows what {} would lose", execution.id);
        refused(what, "start the failed site")
    })
}

fn refused(what: String, advice: &str) -> Refused {
    Refused::new("MS-AGENT-012", what, advice)
}

/// The execution that has claimed here, and cannot drain what had arrived.
pub fn waiting(application: &Application) -> Option<Execution> {
    let known = application.known();
    let execution = known.execution.as_ref().filter(|it| it.to == known.facts.here)?;
    // It may be at the next try just now.
    let failed = |it: &&crate::types::StepRecord| {
        it.name == Step::Drain.name() && it.state != StepState::Done && it.ended_micros.is_some()
    };
    let holds =
        known.facts.record.as_ref().is_some_and(|seen| seen.record.epoch == execution.epoch);
    (holds && execution.steps.iter().any(|it| failed(&it))).then(|| execution.clone())
}
