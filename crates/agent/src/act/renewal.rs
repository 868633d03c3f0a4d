//! Renewing the lease: a compare-and-set that only raises the renewal.

use crate::application::Application;
use crate::coordinator::Swap;
use crate::time::tick;
use mainstay_core::Record;
use mainstay_core::decision::Renewal;
use std::sync::Arc;

/// Creates the first record. The epoch is remembered before it is asked for, so that a lost
/// answer cannot lead to a second first record.
pub fn found(application: &Arc<Application>) {
    let work = application.clone();
    application.single.found.spawn(async move {
        let first = Record::first(work.here().clone());
        let body = serde_json::json!({"first_active": work.here()});
        if work.enter("found", body).await.is_err() {
            return;
        }
        change(&work, 0, first).await;
    });
}

pub fn renew(application: &Arc<Application>) {
    let work = application.clone();
    application.single.renew.spawn(async move {
        let Some((version, next)) = next_renewal(&work) else { return };
        let epoch = next.epoch;
        let sent = tick();
        if change(&work, version, next).await {
            work.learn(|known| known.facts.renewal = Some(Renewal { epoch, sent }));
        }
    });
}

fn next_renewal(application: &Application) -> Option<(u64, Record)> {
    let known = application.known();
    let seen = known.facts.record.as_ref()?;
    let mine = seen.record.active == known.facts.here;
    mine.then(|| (known.version, seen.record.renewed(known.positions.clone())))
}

/// One compare-and-set. True when the change is durable; a conflict brings what stands instead.
pub async fn change(application: &Application, version: u64, next: Record) -> bool {
    let sent = tick();
    let swapped =
        application.context.coordinator.swap(&application.spec.name, version, &next).await;
    match swapped {
        Ok(Swap::Done { version }) => {
            if let Err(why) = application.remember_epoch(next.epoch).await {
                tracing::error!(application = %application.spec.name, %why, "a new epoch is not taken in");
                return false;
            }
            application.learn(|known| known.take_swap(version, next, tick()));
            true
        }
        Ok(Swap::Conflict { current }) => {
            crate::observe::record::take(application, current, sent).await;
            false
        }
        Err(why) => {
            tracing::warn!(application = %application.spec.name, %why, "the record was not changed");
            false
        }
    }
}
