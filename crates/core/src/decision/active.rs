//! The holder of the epoch.

use super::{Action, Databases, Decision, Facts, Rules, State};
use crate::record::Cause;
use crate::{Posture, Record, Tick};

pub(super) fn decide(rules: &Rules, facts: &Facts, record: &Record, now: Tick) -> Decision {
    let upkeep = upkeep(rules, facts, now);
    if facts.promoted < record.epoch {
        return promoting(rules, facts, record, now).with(upkeep);
    }
    if let Some(handover) = &record.handover {
        return handing_over(facts, &handover.execution, record, now).with(upkeep);
    }
    match serves_until(rules, facts, record) {
        Some(until) if now < until => serving(facts, record, until, now),
        None if now < rules.lease.serves_until(facts.started) => just_started(),
        _ => Decision::closed(
            State::Fenced,
            Databases::Fenced(record.epoch),
            "this site's lease has run out",
        ),
    }
    .with(upkeep)
}

/// The agent began anew and has renewed nothing yet. What its predecessor allowed lapses by
/// itself; nothing is cut before that.
fn just_started() -> Decision {
    Decision::new(State::Active, None, Databases::Leave)
}

/// The gate opens only after the databases were found open: a request must not meet a fence. While
/// a planned move has this site hold, that move fences the databases, and nothing opens them again.
fn serving(facts: &Facts, record: &Record, until: Tick, now: Tick) -> Decision {
    if let Some(hold) = facts.held(record.epoch, now) {
        let posture = Posture::Hold { until: until.min(hold.until) };
        return Decision::new(State::Active, Some(posture), Databases::Leave);
    }
    let posture = match facts.open == Some(record.epoch) {
        true => Posture::Serve { until },
        false => Posture::Hold { until },
    };
    Decision::new(State::Active, Some(posture), Databases::Open(record.epoch))
}

/// The claim succeeded; the gate holds what arrives until the promotion is done.
fn promoting(rules: &Rules, facts: &Facts, record: &Record, now: Tick) -> Decision {
    let until = now.plus(rules.lease.length());
    let promotes = !facts.executing && !promise_stands(rules, facts, record, now);
    Decision::new(State::Promoting, Some(Posture::Hold { until }), Databases::Leave)
        .with(promotes.then_some(Action::Promote))
}

/// Invariant: a promise is kept also when a claim whose answer was lost is made after it: the former
/// active site may still write by it. In a planned move that site has fenced itself.
fn promise_stands(rules: &Rules, facts: &Facts, record: &Record, now: Tick) -> bool {
    let promised = facts.promised.filter(|_| record.cause != Cause::Switchover);
    promised.is_some_and(|promised| now < rules.lease.runs_out_at(promised))
}

/// Fenced in favour of another site. It goes on renewing, so that this is not taken for a
/// disaster, and takes the handover back when the hold has run out and the move did not come to
/// pass.
fn handing_over(facts: &Facts, execution: &str, record: &Record, now: Tick) -> Decision {
    let held = facts.held(record.epoch, now).filter(|hold| hold.execution == execution);
    let posture = match held {
        Some(hold) => Posture::Hold { until: hold.until },
        None => Posture::Closed { reason: "a planned move is under way".to_owned() },
    };
    Decision::new(State::HandingOver, Some(posture), Databases::Fenced(record.epoch))
        .with(held.is_none().then_some(Action::TakeBack))
}

/// Invariant: later than 0.4 of the lease after the newest acknowledged renewal was sent, the
/// active site serves only by promises, no older than the same, from *every* other candidate.
fn serves_until(rules: &Rules, facts: &Facts, record: &Record) -> Option<Tick> {
    let renewed = facts
        .renewal
        .filter(|renewal| renewal.epoch == record.epoch)
        .map(|renewal| rules.lease.serves_until(renewal.sent));
    renewed.max(promised_until(rules, facts, record))
}

/// Until when this site may accept writes, as far as it has shown since it began. None when another
/// site holds the epoch, or a newer one was seen.
pub fn writes_until(rules: &Rules, facts: &Facts) -> Option<Tick> {
    let record = &facts.record.as_ref()?.record;
    let holds = record.active == facts.here && record.epoch >= facts.highest;
    holds.then(|| serves_until(rules, facts, record))?
}

fn promised_until(rules: &Rules, facts: &Facts, record: &Record) -> Option<Tick> {
    let candidates = rules.data_sites.iter().filter(|site| **site != facts.here);
    let promises: Option<Vec<Tick>> = candidates
        .map(|site| {
            let promise = facts.promises.get(site)?;
            let current = promise.epoch == record.epoch;
            current.then(|| rules.lease.serves_until(promise.sent))
        })
        .collect();
    promises?.into_iter().min()
}

/// Renews when due, and asks for promises as well while renewals stay unacknowledged. A site whose
/// own stores take no write lets its lease run out.
fn upkeep(rules: &Rules, facts: &Facts, now: Tick) -> Vec<Action> {
    let tolerated = rules.lease.tolerates_unwritable_for();
    let writable = now.since(facts.writable.unwrap_or(facts.started)) < tolerated;
    let since_renewal = facts.renewal.map(|renewal| now.since(renewal.sent));
    let older_than = |age| since_renewal.is_none_or(|since| since >= age);
    let mut actions = Vec::new();
    if writable && older_than(rules.lease.renew_every()) {
        actions.push(Action::Renew);
    }
    if writable && older_than(rules.lease.renew_every() * 2) {
        actions.push(Action::AskPromises);
    }
    actions
}
