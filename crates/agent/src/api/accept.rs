//! A person's word on what this site had received, and lost again with its own agent, after it had
//! claimed.

use super::types::{Execution, ExecutionKind, MoveRequest, StepState};
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::people::guard::too_little;
use crate::runbook::Step;
use mainstay_core::decision::{Order, Outweighs};
use mainstay_core::people::Role;
use serde_json::json;
use std::time::Duration;

/// The execution that waits for this word here; it goes on with it by itself.
pub async fn loss(
    application: &Application,
    kind: ExecutionKind,
    request: &MoveRequest,
    asker: &Asker,
) -> Result<Option<Execution>, Refused> {
    let asked = kind == ExecutionKind::Failover;
    let Some(execution) = waiting(application).filter(|_| asked) else { return Ok(None) };
    // The site has claimed: there is no other one to go back to, and one word is enough.
    if asker.role < Role::Approver {
        return Err(too_little(asker, Role::Approver));
    }
    let accepted = request.accept_loss_s.unwrap_or_default();
    let refused = |what: String, advice: &str| Refused::new("MS-AGENT-012", what, advice);
    match execution.facts.get("loss_bound_s").and_then(serde_json::Value::as_f64) {
        Some(bound) if accepted >= bound => {}
        Some(bound) => {
            let what = format!("{} would lose at most the last {bound:.1} s", execution.id);
            return Err(refused(what, "accept that with --accept-loss, or start the failed site"));
        }
        None => {
            let what = format!("nobody knows what {} would lose", execution.id);
            return Err(refused(what, "start the failed site"));
        }
    }
    let body = json!({"kind": kind, "to": application.here(), "by": asker.name,
        "reason": request.reason, "accept_loss_s": request.accept_loss_s});
    let entered = application.enter("order", body).await;
    entered.map_err(|why| refused(why.to_string(), "nothing is done that cannot be recorded"))?;
    let accept_loss = Duration::try_from_secs_f64(accepted).ok();
    application
        .learn(|known| known.facts.order = Some(Order { accept_loss, outweighs: Outweighs::All }));
    Ok(Some(execution))
}

fn waiting(application: &Application) -> Option<Execution> {
    let known = application.known();
    let execution = known.execution.as_ref().filter(|it| it.to == known.facts.here)?;
    // It may be at the next try just now.
    let failed = |it: &&super::types::StepRecord| {
        it.name == Step::Drain.name() && it.state != StepState::Done && it.ended_micros.is_some()
    };
    let holds =
        known.facts.record.as_ref().is_some_and(|seen| seen.record.epoch == execution.epoch);
    (holds && execution.steps.iter().any(|it| failed(&it))).then(|| execution.clone())
}
