//! Telling this site's gate how to treat the application's traffic.

use crate::application::Application;
use crate::reads;
use crate::time::tick;
use mainstay_core::Posture;
use mainstay_core::decision::State;
use mainstay_traffic::control::Directive;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers the directives of this process.
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// Sends the posture when it is not the one that was sent last.
pub fn direct(application: &Application, state: State, posture: Option<Posture>) {
    let Some(posture) = posture else { return };
    let mut known = application.known();
    let Some(epoch) = known.facts.record.as_ref().map(|seen| seen.record.epoch) else { return };
    let epoch = epoch.max(known.facts.highest);
    let away = known.away(tick(), application.rules.lease.fresh_for());
    let stores = application.stores_with_readers().map(|(name, at)| (name, at.max_lag()));
    let readable = reads::wanted(&mut known, stores, state, tick());
    let news = known.reads.learn(readable);
    let wanted = Some((epoch, posture.clone(), away.clone()));
    if known.directed == wanted && !news {
        return;
    }
    known.directed = wanted;
    let reads = known.reads.told();
    drop(known);
    let seq = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let application = &application;
    application.context.gate.send(Directive {
        seq,
        application: application.spec.name.clone(),
        epoch,
        posture,
        away,
        reads,
    });
}
