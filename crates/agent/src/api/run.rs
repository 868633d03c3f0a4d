//! What people answer an execution that waits for them. The site that conducts it hears them.

use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::runbook::words::{Answer, Heard, WHOLE, Word};
use crate::runbook::{Skip, Step};
use crate::types::{Execution, ExecutionKind, ExecutionState, RunAnswered, RunRequest};
use mainstay_core::ApplicationName;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Has the word heard, here or at the site that conducts the execution.
pub async fn answer(
    agent: &Agent,
    request: &RunRequest,
    asker: &Asker,
) -> Result<RunAnswered, Refused> {
    let execution = find(agent, request)?;
    let request = RunRequest { execution: Some(execution.id.clone()), ..request.clone() };
    if execution.to == *agent.context.here() {
        return answer_here(agent, &request, asker).await;
    }
    let peer = agent.context.peers.get(&execution.to);
    let peer = peer.ok_or_else(|| nothing_waits(&execution.id))?;
    peer.post("/v1/peer/run", &(request, asker), TIMEOUT).await.map_err(|why| match why {
        PeerError::Refused(refusal) => refusal.into(),
        PeerError::NoAnswer { .. } => {
            Refused::new("MS-AGENT-012", why.to_string(), "start the agent of that site")
        }
    })
}

pub async fn answer_here(
    agent: &Agent,
    request: &RunRequest,
    asker: &Asker,
) -> Result<RunAnswered, Refused> {
    let execution = find(agent, request)?;
    let application = conducted(agent, &execution)?;
    if request.reason.trim().is_empty() {
        let advice = "say why, for the ledger: --reason TEXT";
        return Err(Refused::new("MS-RUN-004", "a reason is missing", advice));
    }
    let step = match (&request.step, execution.questions.as_slice()) {
        (Some(step), _) => step.clone(),
        (None, [question]) => question.step.clone(),
        (None, []) if request.answer == Answer::Abort => WHOLE.to_owned(),
        (None, []) => return Err(nothing_waits(&execution.id)),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|it| it.step.as_str()).collect();
            let what = format!("several steps wait: {}", names.join(", "));
            return Err(Refused::new("MS-RUN-002", what, "name one with --step"));
        }
    };
    let (by, reason) = (asker.clone(), request.reason.clone());
    let word = Word { execution: execution.id.clone(), step, answer: request.answer, by, reason };
    let heard = judge(application, &execution, &word)?;
    let body = json!({
        "execution": word.execution, "step": word.step, "answer": word.answer, "heard": heard,
        "by": asker.name, "role": asker.role, "reason": word.reason,
    });
    let entered = application.enter("run-word", body).await;
    entered.map_err(|why| {
        Refused::new("MS-AGENT-012", why.to_string(), "nothing is done that cannot be recorded")
    })?;
    let answered = RunAnswered {
        execution: word.execution.clone(),
        step: word.step.clone(),
        answer: word.answer,
        heard,
    };
    if heard == Heard::Taken {
        application.words.give(word);
    }
    Ok(answered)
}

fn judge(application: &Application, execution: &Execution, word: &Word) -> Result<Heard, Refused> {
    if word.answer == Answer::Abort && !may_abort(application, execution) {
        return Err(Refused::new(
            "MS-RUN-003",
            format!("{} can only go forward: its epoch is claimed", execution.id),
            "mend the cause, and type: mainstay run retry --reason TEXT",
        ));
    }
    if word.step == WHOLE {
        return Ok(Heard::Taken);
    }
    let built_in = Step::ALL.iter().find(|step| step.name() == word.step);
    let skip = built_in.map_or(Skip::Anybody, |step| step.skip());
    application.words.judge(word, skip, execution)
}

fn may_abort(application: &Application, execution: &Execution) -> bool {
    let known = application.known();
    let claimed = known.facts.highest >= execution.epoch || known.facts.claim_is_open();
    execution.kind == ExecutionKind::Switchover && !claimed
}

/// The newest execution that is not ended, or the one that was named.
fn find(agent: &Agent, request: &RunRequest) -> Result<Execution, Refused> {
    let mut all: Vec<Execution> = Vec::new();
    for application in agent.applications.values() {
        let known = application.known();
        all.extend(known.execution.clone());
        all.extend(known.views.values().filter_map(|(_, view)| view.execution.clone()));
    }
    // The conducting site knows it best.
    all.sort_by_key(|it| (it.to != *agent.context.here(), std::cmp::Reverse(it.started_micros)));
    let open = |it: &&Execution| {
        matches!(it.state, ExecutionState::Running | ExecutionState::Stuck)
            && request.execution.as_ref().is_none_or(|id| *id == it.id)
    };
    let found = all.iter().find(open).cloned();
    found.ok_or_else(|| nothing_waits(request.execution.as_deref().unwrap_or("no execution")))
}

fn conducted<'a>(agent: &'a Agent, execution: &Execution) -> Result<&'a Arc<Application>, Refused> {
    let name: &ApplicationName = &execution.application;
    let application = agent.application(name)?;
    match application.single.execution.is_taken() {
        true => Ok(application),
        false => Err(nothing_waits(&execution.id)),
    }
}

fn nothing_waits(id: &str) -> Refused {
    let what = format!("{id} does not wait for a person");
    Refused::new("MS-RUN-001", what, "see `mainstay run show`")
}
