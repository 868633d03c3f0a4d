//! Reading the record.

use super::repeat;
use crate::application::Application;
use crate::coordinator::{CoordinatorError, Versioned};
use crate::time::tick;
use mainstay_core::Tick;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A candidate's view of the lease is at most this much older than the truth.
const PAUSE: Duration = Duration::from_millis(250);

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let work = application.clone();
    tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
        let work = work.clone();
        async move {
            let sent = tick();
            match work.context.coordinator.read(&work.spec.name).await {
                Ok(current) => {
                    take(&work, current, sent).await;
                    lateness(&work).await;
                }
                Err(CoordinatorError::Unusable(why)) => {
                    work.learn(|known| known.unreadable = Some(why));
                }
                Err(why) => tracing::debug!(application = %work.spec.name, %why, "no record"),
            }
        }
    }));
}

/// Takes in what the coordinator says. A new epoch is remembered durably before anything is done
/// with it, so that it never goes back here.
pub async fn take(application: &Application, current: Versioned, sent: Tick) {
    let epoch = current.record.as_ref().map(|record| record.epoch).unwrap_or_default();
    if let Err(why) = application.remember_epoch(epoch).await {
        tracing::error!(application = %application.spec.name, %why, "a new epoch is not taken in");
        return;
    }
    application.learn(|known| known.take_record(current, sent, tick()));
}

/// Warns when the active site's next renewal is late, and has it looked at at once. It decides
/// nothing: the lease does.
async fn lateness(application: &Application) {
    let lease = application.rules.lease;
    let told = {
        let mut known = application.known();
        let here = known.facts.here.clone();
        let seen = known.facts.record.clone().filter(|seen| seen.record.active != here);
        seen.and_then(|seen| {
            known.watching.count_renewal(&seen, lease);
            known.watching.turn_late(&seen, lease)
        })
    };
    let Some((kind, body)) = told else { return };
    if kind == "renewals-late" {
        application.hurry.notify_waiters();
    }
    tracing::warn!(application = %application.spec.name, kind, %body, "renewals");
    // A failed entry is already told, and tried again; see `enter` and `observe::ledger`.
    let _told = application.enter(kind, body).await;
}
