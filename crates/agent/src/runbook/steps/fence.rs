//! Making sure that the failed site accepts no more writes. Its lease has run out, or it was
//! stopped from outside; neither needs anything of the failed site. If its databases still answer,
//! they are fenced as well.

use super::from;
use crate::application::Application;
use crate::runbook::StepError;
use crate::stores::At;
use crate::time::unix_micros;
use crate::types::Execution;
use mainstay_core::{FenceResult, Means, Receipt, StoreName, Tried};
use serde_json::{from_value, json};
use std::sync::Arc;
use std::time::Duration;

/// A site that is gone must not cost recovery time.
const PATIENCE: Duration = Duration::from_millis(700);
/// Facts of the execution: what was tried from outside before the claim; all that was tried.
pub const OUTSIDE: &str = "fenced_from_outside";
pub const RECEIPT: &str = "receipt";

pub async fn make(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let failed = from(execution)?.clone();
    let mut tried = from_outside(execution);
    let stopped = tried.iter().any(Tried::is_confirmed);
    tried.extend(lease(application, execution));
    let ended = tried.iter().any(Tried::is_confirmed);
    // Nothing answers from a site that is stopped.
    for (name, store) in application.spec.stores.iter().filter(|_| !stopped) {
        if let Some(at) = At::find(store, &failed) {
            tried.push(database(application, execution, name, at).await);
        }
    }
    let mut words: Vec<String> = tried.iter().map(said).collect();
    if !ended {
        words.insert(0, format!("{failed} had lost its right before this agent's restart"));
    }
    let receipt = Receipt { fenced: failed, epoch: super::ends(execution), tried };
    execution.facts.insert(RECEIPT.to_owned(), json!(receipt));
    Ok(words.join("; "))
}

fn said(tried: &Tried) -> String {
    let Tried { means, outcome, detail, .. } = tried;
    format!("{means} {outcome}: {detail}")
}

fn from_outside(execution: &Execution) -> Vec<Tried> {
    let kept = execution.facts.get(OUTSIDE).cloned();
    kept.and_then(|receipt| from_value::<Receipt>(receipt).ok())
        .map_or_else(Vec::new, |it| it.tried)
}

/// None while it would still have been running: then the proof is another.
fn lease(application: &Application, execution: &Execution) -> Option<Tried> {
    let waited_ms = execution.facts.get("lease_waited_ms").and_then(serde_json::Value::as_u64)?;
    let whole = Duration::from_millis(waited_ms) > application.spec.lease;
    whole.then(|| Tried {
        means: Means::Lease { waited_ms },
        outcome: FenceResult::Confirmed,
        by: application.here().to_string(),
        micros: unix_micros(),
        detail: "its lease ran out".to_owned(),
    })
}

async fn database(
    application: &Application,
    execution: &mut Execution,
    store: &StoreName,
    at: At<'_>,
) -> Tried {
    let fencing = at.fence(application.context.stores.as_ref(), execution.epoch, PATIENCE);
    let (mut sessions_cut, mut position) = (0, None);
    let (outcome, detail) = match tokio::time::timeout(PATIENCE, fencing).await {
        Ok(Ok(done)) => {
            (sessions_cut, position) = (done.sessions_cut, Some(done.position));
            execution.facts.insert(format!("end_of_{store}"), json!(position));
            (FenceResult::Confirmed, "it still answered and is fenced".to_owned())
        }
        Ok(Err(why)) if why.is_refusal() => (FenceResult::Refused, why.to_string()),
        Ok(Err(why)) => (FenceResult::Unknown, why.to_string()),
        Err(_) => (FenceResult::Unknown, "it does not answer".to_owned()),
    };
    Tried {
        means: Means::Database { store: store.clone(), sessions_cut, position },
        outcome,
        by: application.here().to_string(),
        micros: unix_micros(),
        detail,
    }
}
