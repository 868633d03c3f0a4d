//! The active site's side of a planned move.

use super::renewal::change;
use crate::application::Application;
use crate::stores::at::Fenced;
use crate::time::unix_micros;
use mainstay_core::record::Handover;
use mainstay_core::{Epoch, FenceResult, Means, Receipt, StoreName, Tried};
use std::sync::Arc;

/// Sets or removes the handover in the record, unless the epoch has moved on.
pub async fn set(application: &Application, handover: Option<Handover>) -> bool {
    for _ in 0..5 {
        let planned = {
            let known = application.known();
            let Some(seen) = &known.facts.record else { return false };
            if seen.record.active != known.facts.here {
                return false;
            }
            if seen.record.handover == handover {
                return true;
            }
            (known.versioned(), seen.record.handed_over(handover.clone()))
        };
        if change(application, planned.0, planned.1).await {
            return true;
        }
    }
    false
}

/// How this site is known to accept no writes, once the handover is in the record.
pub fn receipt(
    application: &Application,
    epoch: Epoch,
    databases: Vec<(StoreName, Fenced)>,
) -> Receipt {
    let tried = |means, outcome, detail: String| Tried {
        means,
        outcome,
        by: application.here().to_string(),
        micros: unix_micros(),
        detail,
    };
    let report = application.context.gate.watch(&application.spec.name).borrow().clone();
    let gate = match report {
        Some(it) if it.posture_name == "hold" || it.posture_name == "closed" => (
            FenceResult::Confirmed,
            format!("it says {}; {} requests are held", it.posture_name, it.http_held),
        ),
        Some(it) => (FenceResult::Unknown, format!("it says {}", it.posture_name)),
        None => (FenceResult::Unknown, "no gate of this site tells".to_owned()),
    };
    let mut all = vec![tried(Means::Gate, gate.0, gate.1)];
    all.extend(databases.into_iter().map(|(store, done)| {
        let Fenced { sessions_cut, position } = done;
        let detail =
            format!("the application locked out, {sessions_cut} sessions cut, ended at {position}");
        let means = Means::Database { store, sessions_cut, position: Some(position) };
        tried(means, FenceResult::Confirmed, detail)
    }));
    let detail = "its right to write is handed over in the record".to_owned();
    all.push(tried(Means::Handover, FenceResult::Confirmed, detail));
    Receipt { fenced: application.here().clone(), epoch, tried: all }
}

/// The planned move did not come to pass in time: this site serves on, also when that cannot be
/// entered in the ledger. Whoever conducts the move finds no handover in the record any more and can
/// not claim.
pub fn take_back(application: &Arc<Application>) {
    let work = application.clone();
    application.single.take_back.spawn(async move {
        let body = serde_json::json!({"why": "the planned move did not come to pass in time"});
        // A failed entry is already told; see `enter`.
        let _told = work.enter("handover-taken-back", body).await;
        if set(&work, None).await {
            work.learn(|known| known.facts.hold = None);
        }
    });
}
