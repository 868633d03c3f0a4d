//! A claim that is made after its asker has given it up: the promise that was given since is kept.

use crate::world::name;
use mainstay_core::decision::{Action, Facts, Rules, SeenRecord, State, decide};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::record::Cause;
use mainstay_core::{Record, Tick};
use std::time::Duration;

const PROMISED: Tick = Tick::from_millis(100_000);

fn promotes(cause: Cause, after: Duration) -> bool {
    let rules = Rules {
        lease: Lease::new(Duration::from_secs(10)),
        mode: FailoverMode::Automatic,
        rpo: Duration::from_secs(1),
        cool_down: Duration::from_secs(600),
        fenced_from_outside: Default::default(),
        fence_after: Duration::from_secs(3),
        witnesses: [name(2)].into(),
        data_sites: [name(0), name(1)].into(),
        stores: Default::default(),
    };
    let now = PROMISED.plus(after);
    let record = Record::first(name(0)).claimed_by(&name(1), cause);
    let facts = Facts {
        highest: record.epoch,
        promised: Some(PROMISED),
        record: Some(SeenRecord { record, changed: now, read: now }),
        ..Facts::new(name(1), Tick::default())
    };
    let decision = decide(&rules, &facts, now);
    assert_eq!(decision.state, State::Promoting);
    decision.actions.contains(&Action::Promote)
}

#[test]
fn a_site_whose_claim_is_made_late_promotes_only_when_its_promise_has_run_out() {
    for cause in [Cause::Automatic, Cause::Ordered] {
        assert!(!promotes(cause, Duration::from_millis(1)));
        assert!(!promotes(cause, Duration::from_millis(10_199)));
        assert!(promotes(cause, Duration::from_millis(10_200)));
    }
    assert!(promotes(Cause::Switchover, Duration::from_millis(1)), "the other site is fenced");
}
