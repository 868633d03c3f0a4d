//! Renewing the lease: a compare-and-set that only raises the renewal.

use crate::application::Application;
use crate::coordinator::{CoordinatorError, Swap, Versioned};
use crate::time::tick;
use mainstay_core::Record;
use mainstay_core::decision::Renewal;
use std::sync::Arc;

/// Creates the first record. The epoch is remembered before it is asked for, so that a lost
/// answer cannot lead to a second first record.
pub fn found(application: &Arc<Application>) {
    let work = application.clone();
    application.single.found.spawn(async move {
        let first = Record::first(work.here().clone()).with_lease(work.spec.lease);
        let body = serde_json::json!({"first_active": work.here()});
        if work.enter("found", body).await.is_err() {
            return;
        }
        change(&work, Versioned { version: 0, record: None }, first).await;
    });
}

pub fn renew(application: &Arc<Application>) {
    let work = application.clone();
    application.single.renew.spawn(async move {
        let Some((current, next, ended)) = next_renewal(&work) else { return };
        if change(&work, current, next).await && ended {
            // A failed entry is already told; the pause is over in any case.
            let _told = work.enter("resumed", serde_json::json!({"why": "its time is over"})).await;
        }
    });
}

/// With the version that it replaces, and whether it ends a pause whose time is over.
fn next_renewal(application: &Application) -> Option<(Versioned, Record, bool)> {
    let known = application.known();
    let seen = known.facts.record.as_ref()?;
    if seen.record.active != known.facts.here {
        return None;
    }
    let pause = known.facts.pause.as_ref().and_then(|seen| seen.left(tick()));
    let ended = pause.is_none() && seen.record.pause.is_some();
    let next = seen.record.renewed(known.positions.clone()).with_pause(pause);
    let next = next.with_lease(application.spec.lease);
    Some((known.versioned(), next, ended))
}

/// One compare-and-set. True when the change is durable; a conflict brings what stands instead.
/// Whoever sees a change of the record that this site holds waits a whole lease from then on: each
/// one is a renewal.
pub async fn change(application: &Application, expected: Versioned, next: Record) -> bool {
    let sent = tick();
    let swapped =
        application.context.coordinator.swap(&application.spec.name, &expected, &next).await;
    match swapped {
        Ok(Swap::Done { version }) => {
            if let Err(why) = application.remember_epoch(next.epoch).await {
                tracing::error!(application = %application.spec.name, %why, "a new epoch is not taken in");
                return false;
            }
            application.learn(|known| {
                if next.active == known.facts.here {
                    known.facts.renewal = Some(Renewal { epoch: next.epoch, sent });
                }
                known.take_swap(version, next, tick());
            });
            true
        }
        Ok(Swap::Conflict { current }) => {
            crate::observe::record::take(application, current, sent).await;
            false
        }
        Err(why) => {
            tell(application, &why);
            if let CoordinatorError::Unusable(why) = why {
                application.learn(|known| known.unchangeable = Some(why));
            }
            false
        }
    }
}

/// Renewals are tried several times a second: only the first that fails is worth a warning.
fn tell(application: &Application, why: &CoordinatorError) {
    let name = &application.spec.name;
    match std::mem::replace(&mut application.known().change_failed, true) {
        false => tracing::warn!(application = %name, %why, "the record was not changed"),
        true => tracing::debug!(application = %name, %why, "the record was not changed"),
    }
}
