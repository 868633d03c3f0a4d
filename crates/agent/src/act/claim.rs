//! Taking over: the compare-and-set that makes the next epoch.

use super::renewal::change;
use crate::application::Application;
use crate::coordinator::Versioned;
use crate::time::{tick, unix_micros};
use mainstay_core::Record;
use mainstay_core::decision::loss_bound;
use mainstay_core::record::Cause;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Replaces exactly the record that the decision was made on. If that works, the promotion follows
/// from the record itself, also after a crash in between.
pub fn claim(application: &Arc<Application>, from: Record, ordered: bool) {
    let work = application.clone();
    application.single.claim.spawn(async move {
        let cause = if ordered { Cause::Ordered } else { Cause::Automatic };
        let next = from.claimed_by(work.here(), cause);
        let Some((current, facts)) = begin(&work, &from) else { return };
        let body =
            json!({"epoch": next.epoch, "from": from.active, "cause": cause, "facts": facts});
        if work.enter("decision", body).await.is_ok() {
            change(&work, current, next).await;
        }
        work.learn(|known| {
            known.facts.claiming = false;
            known.facts.order = None;
        });
    });
}

/// From here on no promise is given, until the outcome is known.
fn begin(application: &Application, from: &Record) -> Option<(Versioned, BTreeMap<String, Value>)> {
    let now = tick();
    let mut known = application.known();
    let seen = known.facts.record.clone().filter(|seen| seen.record == *from)?;
    known.facts.claiming = true;
    let waited = now.since(seen.changed).as_millis();
    let bound = loss_bound(&application.rules, &known.facts, &seen);
    let facts = BTreeMap::from([
        ("decided_micros".to_owned(), json!(unix_micros())),
        ("suspected_micros".to_owned(), json!(known.suspected_micros)),
        ("last_renewal_seen_micros".to_owned(), json!(known.last_renewal_seen_micros)),
        ("lease_waited_ms".to_owned(), json!(u64::try_from(waited).unwrap_or(u64::MAX))),
        ("loss_bound_s".to_owned(), json!(bound.map(|bound| bound.as_secs_f64()))),
    ]);
    known.claim_facts = facts.clone();
    Some((known.versioned(), facts))
}
