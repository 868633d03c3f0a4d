//! The way back of a lost site: what may be promoted in the middle of it, and by whom.

use crate::simulation::{run_for, seeds};
use crate::world::{World, name};
use mainstay_core::decision::{
    Action, Facts, Hindrance, LinkFacts, Order, Outweighs, Rules, SeenRecord, State, WayBack,
    decide, hindrances,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::record::Cause;
use mainstay_core::verdict::Evidence;
use mainstay_core::{Record, StoreName, Tick, Verdict};
use std::time::Duration;

const NOW: Tick = Tick::from_millis(1_000_000);
/// The last sign of the active site.
const LAST: Tick = Tick::from_millis(980_000);

fn store() -> StoreName {
    StoreName::new("db").expect("a name")
}

fn rules(mode: FailoverMode) -> Rules {
    Rules {
        lease: Lease::new(Duration::from_secs(10)),
        mode,
        rpo: Duration::from_secs(1),
        cool_down: Duration::from_secs(20),
        fenced_from_outside: Default::default(),
        fence_after: Duration::from_secs(3),
        witnesses: [name(2)].into(),
        data_sites: [name(0), name(1)].into(),
        stores: [store()].into(),
    }
}

/// East was failed over from and returns; west, active since, has been gone for longer than a
/// lease, and everyone sees it. Nothing but the way back is in the way.
fn east(returning: Option<WayBack>) -> Facts {
    let mut facts = Facts::new(name(0), Tick::default());
    let record = Record::first(name(0)).claimed_by(&name(1), Cause::Automatic);
    facts.highest = record.epoch;
    facts.record = Some(SeenRecord { record, changed: LAST, read: NOW });
    for vantage in [0, 2] {
        let verdict = Verdict::Unreachable;
        let evidence = Evidence { verdict, gathered: NOW, why: String::new() };
        facts.evidence.insert(name(vantage), evidence);
    }
    let complete_until = Some(LAST);
    let link = LinkFacts { sound: true, received: None, complete_until, advanced: None };
    facts.links.insert(store(), link);
    facts.returning = returning;
    facts
}

fn claims(mode: FailoverMode, returning: Option<WayBack>, order: Option<Order>) -> bool {
    let facts = Facts { order, ..east(returning) };
    let actions = decide(&rules(mode), &facts, NOW).actions;
    actions.iter().any(|action| matches!(action, Action::Claim { .. }))
}

#[test]
fn a_site_that_is_back_takes_over_by_itself_and_one_on_its_way_back_does_not() {
    assert!(claims(FailoverMode::Automatic, None, None), "nothing else is in the way");
    for way in [WayBack::Apart, WayBack::NotProved] {
        assert!(!claims(FailoverMode::Automatic, Some(way), None), "{way:?}");
    }
}

#[test]
fn a_persons_order_outweighs_only_the_missing_proof() {
    for mode in [FailoverMode::Automatic, FailoverMode::Approve, FailoverMode::Manual] {
        for accept_loss in [None, Some(Duration::from_secs(3600))] {
            let order = || Some(Order { accept_loss, outweighs: Outweighs::All });
            assert!(claims(mode, Some(WayBack::NotProved), order()), "{mode:?}");
            assert!(!claims(mode, Some(WayBack::Apart), order()), "{mode:?}");
        }
    }
}

#[test]
fn the_loss_that_a_person_accepts_is_asked_for_in_the_middle_of_a_return_as_ever() {
    let mut facts = east(Some(WayBack::NotProved));
    for link in facts.links.values_mut() {
        link.complete_until = Some(Tick::from_millis(970_000));
    }
    let rules = rules(FailoverMode::Automatic);
    let with = |accept_loss| {
        let facts = Facts {
            order: Some(Order { accept_loss, outweighs: Outweighs::All }),
            ..facts.clone()
        };
        let seen = facts.record.clone().unwrap();
        hindrances(&rules, &facts, &seen, NOW)
    };
    assert!(matches!(with(None)[..], [Hindrance::LagOverBound { .. }]), "{:?}", with(None));
    assert_eq!(with(Some(Duration::from_secs(10))), []);
}

#[test]
fn nobody_is_asked_to_approve_a_failover_to_a_site_on_its_way_back() {
    let state = |way| decide(&rules(FailoverMode::Approve), &east(way), NOW).state;
    assert_eq!(state(None), State::Asking);
    assert_eq!(state(Some(WayBack::NotProved)), State::Returning);
    assert_eq!(state(Some(WayBack::Apart)), State::Returning);
}

/// The cool-down of the simulated world is 20 s, so that it is not what keeps the second failover
/// from beginning.
#[test]
fn the_new_active_site_lost_in_the_middle_of_the_return_is_followed_by_nobody_until_it_is_back() {
    for seed in seeds(60) {
        let mut world = World::new(seed);
        run_for(&mut world, 5_000, |_| {});
        world.crash(0);
        run_for(&mut world, 40_000, |_| {});
        assert!(world.serves(1), "seed {seed}: west took over");
        world.restart(0);
        let way = if world.random.one_in(2) { WayBack::Apart } else { WayBack::NotProved };
        world.way = Some(way);
        let pause = world.random.below(30_000);
        run_for(&mut world, pause, |_| {});
        world.crash(1);
        run_for(&mut world, 120_000, |world| {
            assert_eq!(world.history.len(), 2, "seed {seed}, {way:?}: promoted in between");
        });
        world.restart(1);
        run_for(&mut world, 30_000, |_| {});
        assert!(world.serves(1) && !world.serves(0), "seed {seed}: west goes on");

        world.way = None;
        run_for(&mut world, 30_000, |_| {});
        world.crash(1);
        run_for(&mut world, 40_000, |_| {});
        assert!(world.serves(0), "seed {seed}: once it is back, it takes over");
    }
}
