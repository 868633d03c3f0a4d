//! The active site's side of a planned move.

use super::renewal::change;
use crate::application::Application;
use mainstay_core::record::Handover;
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

/// The planned move did not come to pass in time: this site serves on. Whoever conducts the move
/// finds no handover in the record any more and can not claim.
pub fn take_back(application: &Arc<Application>) {
    let work = application.clone();
    application.single.take_back.spawn(async move {
        let body = serde_json::json!({"why": "the planned move did not come to pass in time"});
        if work.enter("handover-taken-back", body).await.is_ok() && set(&work, None).await {
            work.learn(|known| known.facts.hold = None);
        }
    });
}
