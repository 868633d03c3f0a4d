//! When a site may give its word, what it may do by that of others, and which changes of the record
//! any agent may make.

use crate::conditions::rules;
use crate::world::name;
use mainstay_core::decision::{
    Facts, Hindrance, Order, Outweighs, Promise, Renewal, SeenRecord, may_hand_over, may_promise,
    writes_until,
};
use mainstay_core::record::Cause;
use mainstay_core::{Epoch, Record, Tick};
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: Tick = Tick::from_millis(100_000);

/// West, which follows east in its first epoch.
fn west(record: &Record) -> Facts {
    let mut facts = Facts::new(name(1), Tick::default());
    facts.highest = record.epoch;
    facts.record = Some(SeenRecord { record: record.clone(), changed: NOW, read: NOW });
    facts
}

#[test]
fn no_promise_is_given_while_a_claim_may_yet_be_made() {
    let from = Record::first(name(0));
    let promises = |facts: &Facts| may_promise(facts, &name(0), Epoch::new(1));
    let mut facts = west(&from);
    assert!(promises(&facts));

    facts.claiming = Some(from.clone());
    assert!(!promises(&facts), "the record that the claim replaces still stands");
    facts.record = None;
    assert!(!promises(&facts), "after a restart, before a record was read");

    let renewed = west(&from.renewed(Default::default()));
    let settled = Facts { claiming: Some(from), ..renewed };
    assert!(promises(&settled), "the active site came first, so the claim cannot be made");
}

#[test]
fn a_promise_is_for_the_holder_of_the_newest_epoch_and_never_by_one_that_may_be_active() {
    let first = Record::first(name(0));
    assert!(!may_promise(&west(&first), &name(2), Epoch::new(1)), "not the holder");
    assert!(may_promise(&west(&first), &name(0), Epoch::new(2)), "a newer epoch than the one seen");
    let second = first.claimed_by(&name(1), Cause::Automatic);
    assert!(!may_promise(&west(&second), &name(0), Epoch::new(1)), "an epoch that is over");
    let mut stale = west(&first);
    stale.highest = Epoch::new(2);
    assert!(!may_promise(&stale, &name(0), Epoch::new(1)), "an epoch known to be over");
    let mut former = west(&second);
    assert!(!may_promise(&former, &name(0), Epoch::new(3)), "it takes itself for active");
    former.record = None;
    assert!(may_promise(&former, &name(0), Epoch::new(3)));
}

#[test]
fn only_the_active_site_hands_over_and_not_before_its_promotion_is_done() {
    let second = Record::first(name(0)).claimed_by(&name(1), Cause::Automatic);
    let mut facts = west(&second);
    facts.promoted = Epoch::new(1);
    assert!(!may_hand_over(&facts, Epoch::new(2)), "it is about to open its databases");
    facts.promoted = Epoch::new(2);
    assert!(may_hand_over(&facts, Epoch::new(2)));
    assert!(!may_hand_over(&facts, Epoch::new(3)), "a move that ends another epoch");
    let standby = Facts { promoted: Epoch::new(1), ..west(&Record::first(name(0))) };
    assert!(!may_hand_over(&standby, Epoch::new(1)), "it is not active");
}

#[test]
fn the_right_to_write_in_an_epoch_is_what_was_said_in_it() {
    let first = Record::first(name(1));
    let third = first.claimed_by(&name(0), Cause::Switchover).claimed_by(&name(1), Cause::Ordered);
    let until = NOW.plus(Duration::from_secs(4));
    for (epoch, right) in [(1, None), (2, None), (3, Some(until)), (4, None)] {
        let epoch = Epoch::new(epoch);
        let mut renewed = west(&third);
        renewed.renewal = Some(Renewal { epoch, sent: NOW });
        assert_eq!(writes_until(&rules(), &renewed), right, "a renewal in epoch {epoch}");
        let mut promised = west(&third);
        promised.promises.insert(name(0), Promise { epoch, sent: NOW });
        assert_eq!(writes_until(&rules(), &promised), right, "a promise in epoch {epoch}");
    }
}

/// Every record with small numbers that a faulty agent could write.
fn any_record() -> Vec<Record> {
    let mut records = Vec::new();
    let formers = [None, Some(name(0)), Some(name(1))];
    for (epoch, renewal) in (0..5).flat_map(|epoch| (0..3).map(move |renewal| (epoch, renewal))) {
        for (active, former) in (0..2).flat_map(|site| formers.iter().map(move |it| (site, it))) {
            for cause in [Cause::Initial, Cause::Automatic] {
                let first = Record::first(name(active));
                let (epoch, former) = (Epoch::new(epoch), former.clone());
                records.push(Record { epoch, former, cause, renewal, ..first });
            }
        }
    }
    records
}

/// Exhaustive: whatever agents write, what the record allows keeps its rules.
#[test]
fn whatever_faulty_agents_write_an_epoch_has_one_holder_and_the_next_is_one_more() {
    let first = Record::first(name(0));
    let (mut reached, mut ahead) = (vec![first.clone()], vec![first]);
    let mut newest = BTreeSet::new();
    while let Some(current) = ahead.pop() {
        for next in any_record().into_iter().filter(|next| current.allows(next).is_ok()) {
            let same = next.epoch == current.epoch;
            assert!(same || next.epoch == current.epoch.next(), "{current:?} to {next:?}");
            if same {
                assert_eq!((&next.active, next.cause), (&current.active, current.cause));
                assert_eq!(next.former, current.former);
                assert!(next.renewal > current.renewal, "{current:?} to {next:?}");
            } else {
                assert_eq!(next.former, Some(current.active.clone()));
            }
            newest.insert(next.epoch);
            if !reached.contains(&next) {
                reached.push(next.clone());
                ahead.push(next);
            }
        }
    }
    assert_eq!(newest.last(), Some(&Epoch::new(4)), "the rules let nobody stand still for ever");
}

#[test]
fn what_had_arrived_is_given_up_only_by_an_order_that_names_it_and_accepts_as_much() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let lost = Hindrance::ArrivedLost { bound: Duration::from_secs(4) };
    let by = |accept_loss, outweighs| Order { accept_loss, outweighs }.accepts(&lost);
    assert!(by(seconds(4), Outweighs::All));
    assert!(by(seconds(4), Outweighs::These(vec![lost.clone()])));
    assert!(!by(seconds(3), Outweighs::These(vec![lost.clone()])));
    assert!(!by(None, Outweighs::All));
    let another = Hindrance::Healthy { vantage: name(2) };
    assert!(!by(seconds(60), Outweighs::These(vec![another])), "it is not named");
}
