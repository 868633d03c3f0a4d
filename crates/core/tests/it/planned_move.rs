//! A planned move: while it has the active site hold, nothing opens what it fences; without it the
//! active site takes its word back.

use crate::world::name;
use mainstay_core::decision::{
    Action, Databases, Facts, Hold, Renewal, Rules, SeenRecord, State, decide,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::record::{Cause, Handover};
use mainstay_core::{Epoch, Posture, Record, Tick};
use std::time::Duration;

const NOW: Tick = Tick::from_millis(100_000);

fn rules() -> Rules {
    Rules {
        lease: Lease::new(Duration::from_secs(10)),
        mode: FailoverMode::Automatic,
        rpo: Duration::from_secs(1),
        cool_down: Duration::from_secs(600),
        fenced_from_outside: Default::default(),
        fence_after: Duration::from_secs(3),
        witnesses: [name(2)].into(),
        data_sites: [name(0), name(1)].into(),
        stores: Default::default(),
    }
}

fn active() -> Facts {
    let mut facts = Facts::new(name(0), Tick::default());
    let record = Record::first(name(0));
    (facts.highest, facts.promoted) = (record.epoch, record.epoch);
    facts.open = Some(record.epoch);
    facts.writable = Some(NOW);
    facts.renewal = Some(Renewal { epoch: record.epoch, sent: NOW });
    facts.record = Some(SeenRecord { record, changed: NOW, read: NOW });
    facts
}

fn hold() -> Hold {
    Hold {
        execution: "move".to_owned(),
        epoch: Epoch::new(1),
        until: NOW.plus(Duration::from_secs(5)),
    }
}

fn handover() -> Handover {
    Handover { execution: "move".to_owned(), to: name(1), positions: Default::default() }
}

#[test]
fn while_a_planned_move_holds_nothing_opens_the_databases() {
    let mut facts = active();
    facts.hold = Some(hold());
    facts.open = None;
    let decision = decide(&rules(), &facts, NOW);
    assert_eq!(decision.databases, Databases::Leave);
    assert!(matches!(decision.posture, Some(Posture::Hold { .. })));
}

#[test]
fn a_hold_that_ran_out_before_the_fence_opens_and_serves_again() {
    let mut facts = active();
    facts.hold = Some(hold());
    facts.open = None;
    let later = NOW.plus(Duration::from_secs(6));
    facts.renewal = Some(Renewal { epoch: Epoch::new(1), sent: later });
    assert_eq!(decide(&rules(), &facts, later).databases, Databases::Open(Epoch::new(1)));
    facts.open = Some(Epoch::new(1));
    let decision = decide(&rules(), &facts, later);
    assert!(matches!(decision.posture, Some(Posture::Serve { .. })));
}

#[test]
fn a_site_that_handed_over_stays_fenced_until_it_has_taken_its_word_back() {
    let mut facts = active();
    facts.hold = Some(hold());
    if let Some(seen) = &mut facts.record {
        seen.record.handover = Some(handover());
    }
    let held = decide(&rules(), &facts, NOW);
    assert_eq!(
        (held.state, held.databases),
        (State::HandingOver, Databases::Fenced(Epoch::new(1)))
    );
    assert!(!held.actions.contains(&Action::TakeBack));

    facts.hold = None;
    let given_up = decide(&rules(), &facts, NOW);
    assert_eq!(given_up.databases, Databases::Fenced(Epoch::new(1)));
    assert!(given_up.actions.contains(&Action::TakeBack));
}

#[test]
fn a_hold_is_over_with_the_epoch_that_its_move_ends() {
    let mut facts = active();
    facts.hold = Some(hold());
    if let Some(seen) = &mut facts.record {
        seen.record = seen.record.claimed_by(&name(1), Cause::Switchover);
    }
    let posture = decide(&rules(), &facts, NOW).posture;
    assert_eq!(posture, Some(Posture::Forward { to: name(1) }));
}
