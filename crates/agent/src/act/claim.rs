//! Taking over: the compare-and-set that makes the next epoch.

use super::renewal::change;
use crate::application::Application;
use crate::coordinator::Versioned;
use crate::runbook::steps::drain::received_of;
use crate::runbook::steps::fence::OUTSIDE;
use crate::time::{tick, unix_micros};
use mainstay_core::Record;
use mainstay_core::decision::{Action, decide, loss_bound};
use mainstay_core::record::Cause;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Replaces exactly the record that the decision was made on. If that works, the promotion follows
/// from the record itself, also after a crash in between.
pub fn claim(application: &Arc<Application>, from: Record, ordered: bool) {
    let work = application.clone();
    application.single.claim.spawn(async move {
        if let Err(why) = make(&work, &from, ordered).await {
            tracing::warn!(application = %work.spec.name, %why, "the claim was not sent");
        }
        work.learn(|known| known.facts.order = None);
    });
}

async fn make(application: &Application, from: &Record, ordered: bool) -> Result<(), String> {
    let cause = if ordered { Cause::Ordered } else { Cause::Automatic };
    let next = from.claimed_by(application.here(), cause).with_lease(application.spec.lease);
    let facts = facts(application, from).ok_or("the record has changed")?;
    let body = json!({"epoch": next.epoch, "from": from.active, "cause": cause, "facts": facts});
    application.enter("decision", body).await.map_err(|why| why.to_string())?;
    let current = begin(application, from).ok_or("the decision does not stand any more")?;
    application.keep_claim(from).await.map_err(|why| why.to_string())?;
    change(application, current, next).await;
    Ok(())
}

/// What is known at the decision, for the ledger and the execution.
fn facts(application: &Application, from: &Record) -> Option<BTreeMap<String, Value>> {
    let now = tick();
    let mut known = application.known();
    let seen = known.facts.record.clone().filter(|seen| seen.record == *from)?;
    let waited = now.since(seen.changed).as_millis();
    let bound = loss_bound(&application.rules, &known.facts, &seen);
    let mut facts = BTreeMap::from([
        ("decided_micros".to_owned(), json!(unix_micros())),
        ("suspected_micros".to_owned(), json!(known.suspected_micros)),
        ("last_renewal_seen_micros".to_owned(), json!(known.last_renewal_seen_micros)),
        ("lease_waited_ms".to_owned(), json!(u64::try_from(waited).unwrap_or(u64::MAX))),
        ("loss_bound_s".to_owned(), json!(bound.map(|bound| bound.as_secs_f64()))),
    ]);
    let fenced = known.facts.fencing.as_ref().is_some_and(|it| it.from == *from);
    let receipt = known.fence_receipt.as_ref().filter(|_| fenced);
    facts.extend(receipt.map(|receipt| (OUTSIDE.to_owned(), json!(receipt))));
    for (store, link) in &known.links {
        facts.insert(received_of(store), json!(link.status.received));
    }
    known.claim_facts = facts.clone();
    Some(facts)
}

/// Decides once more and has no promise given from here on, both at once: one that was given since
/// the decision lets the active site write.
fn begin(application: &Application, from: &Record) -> Option<Versioned> {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let mut actions = decide(&application.rules, &known.facts, now).actions.into_iter();
    let stands = |action| matches!(action, Action::Claim { from: still, .. } if still == *from);
    actions.any(stands).then(|| {
        known.facts.claiming = Some(from.clone());
        known.versioned()
    })
}
