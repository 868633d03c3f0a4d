//! When the active site is stopped from outside, and what the proof of it is worth.

use crate::conditions::{CONDITIONS, NOW, ago, claims, free, link, rules, seen};
use crate::world::name;
use mainstay_core::decision::{
    Action, Facts, FenceOutcome, Fencing, Order, Outweighs, Rules, decide, may_promise,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::record::Cause;
use std::time::Duration;

fn with_means() -> Rules {
    Rules { fenced_from_outside: [name(0)].into(), ..rules() }
}

/// As [`free`], but that the lease still runs: east has been gone for four seconds.
fn suspected() -> Facts {
    let mut facts = free();
    seen(&mut facts).changed = ago(4);
    (link(&mut facts).complete_until, link(&mut facts).advanced) = (Some(ago(4)), Some(ago(4)));
    facts
}

fn fenced(outcome: FenceOutcome) -> Facts {
    let mut facts = suspected();
    let from = seen(&mut facts).record.clone();
    facts.fencing = Some(Fencing { from, begun: ago(1), outcome });
    facts
}

fn fences(facts: &Facts, rules: &Rules) -> bool {
    let actions = decide(rules, facts, NOW).actions;
    actions.iter().any(|action| matches!(action, Action::FenceOutside { .. }))
}

#[test]
fn a_site_is_fenced_from_outside_only_where_the_claim_would_follow_at_once() {
    let rules = with_means();
    assert!(fences(&suspected(), &rules) && !claims(&suspected(), &rules));
    assert!(claims(&fenced(FenceOutcome::Confirmed), &rules));
    let mut kept = 0;
    for (condition, change) in CONDITIONS {
        let (mut before, mut after) = (suspected(), fenced(FenceOutcome::Confirmed));
        change(&mut before);
        change(&mut after);
        after.fencing = after
            .fencing
            .zip(after.record.clone())
            .map(|(it, seen)| Fencing { from: seen.record, ..it });
        let (fences, claims) = (fences(&before, &rules), claims(&after, &rules));
        assert!(claims || !fences, "{condition}");
        kept += usize::from(!fences);
    }
    assert!(kept > 15, "{kept}");
}

#[test]
fn without_means_or_before_its_time_or_against_the_mode_nothing_is_fenced() {
    assert!(!fences(&suspected(), &rules()), "no means");
    let other = Rules { fenced_from_outside: [name(1)].into(), ..rules() };
    assert!(!fences(&suspected(), &other), "means for another site");
    let patient = Rules { fence_after: Duration::from_secs(5), ..with_means() };
    assert!(!fences(&suspected(), &patient), "it has not been silent for long enough");
    let mut stale = suspected();
    seen(&mut stale).read = ago(2);
    assert!(!fences(&stale, &with_means()), "the coordinator may have gone with it");
    for mode in [FailoverMode::Approve, FailoverMode::Manual] {
        let rules = Rules { mode, ..with_means() };
        assert!(!fences(&suspected(), &rules), "{mode:?}");
        let mut ordered = suspected();
        ordered.order = Some(Order { accept_loss: None, outweighs: Outweighs::All });
        assert!(fences(&ordered, &rules), "a person ordered the failover");
    }
}

#[test]
fn a_fence_is_begun_once_for_a_record_and_never_while_another_is_under_way() {
    let rules = with_means();
    for outcome in [FenceOutcome::UnderWay, FenceOutcome::Confirmed, FenceOutcome::Unknown] {
        assert!(!fences(&fenced(outcome), &rules), "{outcome:?}");
        let mut renewed = fenced(outcome);
        let record = &mut seen(&mut renewed).record;
        *record = record.renewed(record.positions.clone());
        let again = outcome != FenceOutcome::UnderWay;
        assert_eq!(fences(&renewed, &rules), again, "{outcome:?}");
        assert!(!claims(&renewed, &rules), "a renewal in between: {outcome:?}");
    }
}

#[test]
fn only_a_confirmed_fence_shortens_the_wait() {
    let rules = with_means();
    assert!(claims(&fenced(FenceOutcome::Confirmed), &rules));
    assert!(!claims(&fenced(FenceOutcome::Unknown), &rules));
    assert!(!claims(&fenced(FenceOutcome::UnderWay), &rules));
    let mut run_out = free();
    let from = seen(&mut run_out).record.clone();
    let outcome = FenceOutcome::UnderWay;
    run_out.fencing = Some(Fencing { from, begun: ago(1), outcome });
    assert!(claims(&run_out, &rules), "the lease runs out whatever becomes of the fence");
}

#[test]
fn a_promise_and_a_fence_exclude_each_other() {
    let rules = with_means();
    let epoch = seen(&mut suspected()).record.epoch;
    let promises = |facts: &Facts| may_promise(facts, &name(0), epoch);
    assert!(promises(&suspected()));
    assert!(!promises(&fenced(FenceOutcome::UnderWay)));
    assert!(promises(&fenced(FenceOutcome::Unknown)));
    let mut restarted = fenced(FenceOutcome::UnderWay);
    restarted.record = None;
    assert!(!promises(&restarted), "nor before a record was read again");

    let mut given = fenced(FenceOutcome::Confirmed);
    given.promised = Some(ago(3));
    assert!(claims(&given, &rules), "before the fence began: whoever had it is stopped");
    given.promised = Some(ago(1));
    link(&mut given).complete_until = Some(NOW);
    assert!(!claims(&given, &rules), "whoever has it now was begun anew");
}

#[test]
fn a_planned_move_that_is_under_way_is_not_disturbed() {
    let mut facts = suspected();
    facts.executing = true;
    assert!(!fences(&facts, &with_means()));
    facts.executing = false;
    seen(&mut facts).record.cause = Cause::Switchover;
    assert!(fences(&facts, &with_means()));
}
