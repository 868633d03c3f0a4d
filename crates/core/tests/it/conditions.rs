//! Each condition of an automatic failover, alone, keeps a site from claiming: the others all hold.

use crate::world::name;
use mainstay_core::decision::{
    Action, Facts, Hindrance, LinkFacts, Order, Outweighs, Rules, SeenRecord, WayBack, decide,
    hindrances,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::position::Lsn;
use mainstay_core::record::Cause;
use mainstay_core::verdict::Evidence;
use mainstay_core::watch::ClockOff;
use mainstay_core::{Position, Record, StoreName, Tick, Verdict};
use std::time::Duration;

pub const NOW: Tick = Tick::from_millis(1_000_000);

pub fn ago(seconds: u64) -> Tick {
    Tick::from_millis(NOW.millis() - seconds * 1000)
}

fn store() -> StoreName {
    StoreName::new("db").expect("a name")
}

pub fn rules() -> Rules {
    Rules {
        lease: Lease::new(Duration::from_secs(10)),
        mode: FailoverMode::Automatic,
        rpo: Duration::from_secs(1),
        cool_down: Duration::from_secs(60),
        fenced_from_outside: Default::default(),
        fence_after: Duration::from_secs(3),
        witnesses: [name(2)].into(),
        data_sites: [name(0), name(1)].into(),
        stores: [store()].into(),
    }
}

fn look(verdict: Verdict, gathered: Tick) -> Evidence {
    Evidence { verdict, gathered, why: String::new() }
}

/// West; east has been gone for eleven seconds, and nothing stands in the way.
pub fn free() -> Facts {
    let mut facts = Facts::new(name(1), Tick::default());
    let end = Position::Postgres(Lsn(7));
    let record = Record::first(name(0)).renewed([(store(), end)].into());
    facts.highest = record.epoch;
    facts.record = Some(SeenRecord { record, changed: ago(11), read: NOW });
    for vantage in [name(1), name(2)] {
        facts.evidence.insert(vantage, look(Verdict::Unreachable, NOW));
    }
    let link = LinkFacts {
        sound: true,
        received: Some(end),
        complete_until: Some(ago(11)),
        advanced: Some(ago(11)),
    };
    facts.links.insert(store(), link);
    facts
}

pub fn claims(facts: &Facts, rules: &Rules) -> bool {
    let actions = decide(rules, facts, NOW).actions;
    actions.iter().any(|action| matches!(action, Action::Claim { .. }))
}

/// What is told to the decision instead.
pub type Change = fn(&mut Facts);

pub fn seen(facts: &mut Facts) -> &mut SeenRecord {
    facts.record.as_mut().expect("a record")
}

pub fn link(facts: &mut Facts) -> &mut LinkFacts {
    facts.links.get_mut(&store()).expect("a link")
}

pub const CONDITIONS: &[(&str, Change)] = &[
    ("the lease runs", |facts| seen(facts).changed = ago(10)),
    ("the lease runs by which the active site goes", |facts| {
        seen(facts).record.lease_ms = Some(12_000);
    }),
    ("a promise was given", |facts| facts.promised = Some(ago(10))),
    ("this agent has just begun", |facts| facts.started = ago(10)),
    ("the coordinator was last heard before the lease ran out", |facts| {
        seen(facts).changed = ago(12);
        seen(facts).read = ago(3);
    }),
    ("the coordinator was last heard long ago", |facts| {
        seen(facts).changed = ago(30);
        seen(facts).read = ago(6);
        link(facts).complete_until = Some(ago(30));
    }),
    ("this site reaches the application", |facts| {
        facts.evidence.insert(name(1), look(Verdict::Healthy, NOW));
    }),
    ("the witness reaches the application", |facts| {
        facts.evidence.insert(name(2), look(Verdict::Healthy, NOW));
    }),
    ("another vantage reaches the application", |facts| {
        facts.evidence.insert(name(3), look(Verdict::Healthy, NOW));
    }),
    ("this site has not looked", |facts| {
        facts.evidence.remove(&name(1));
    }),
    ("the witness has not looked", |facts| {
        facts.evidence.remove(&name(2));
    }),
    ("the witness looked long ago", |facts| {
        facts.evidence.insert(name(2), look(Verdict::Unreachable, ago(6)));
    }),
    ("the link is not sound", |facts| link(facts).sound = false),
    ("there is no link", |facts| facts.links.clear()),
    ("changes arrive", |facts| link(facts).advanced = Some(ago(2))),
    ("the lag is over the bound", |facts| {
        link(facts).received = Some(Position::Postgres(Lsn(6)));
        link(facts).complete_until = Some(ago(13));
    }),
    ("the lag is unknown", |facts| {
        link(facts).received = None;
        link(facts).complete_until = None;
    }),
    ("the lag grew after the last renewal, while promises were kept", |facts| {
        seen(facts).changed = ago(40);
        facts.promised = Some(ago(11));
        link(facts).complete_until = Some(ago(40));
    }),
    ("its salvage is not kept", |facts| facts.returning = Some(WayBack::Apart)),
    ("it is not proved equal", |facts| facts.returning = Some(WayBack::NotProved)),
    ("the last failover is recent", |facts| {
        facts.epoch_is_failover = true;
        facts.epoch_seen = ago(59);
    }),
    ("the health of the active site keeps coming and going", |facts| {
        for second in [30, 20, 11] {
            facts.health.take(Verdict::Healthy, ago(second));
            facts.health.take(Verdict::Unreachable, ago(second));
        }
    }),
    ("a clock is off", |facts| {
        facts.clock = Some(ClockOff { sites: vec![name(0)], permille: 30 });
    }),
    ("the ledger cannot be written", |facts| facts.ledger_sound = false),
    ("an execution is at work", |facts| facts.executing = true),
    ("a newer epoch was seen", |facts| facts.highest = facts.highest.next()),
    ("it is a witness", |facts| facts.witness = true),
    ("it is active itself", |facts| seen(facts).record.active = name(1)),
];

#[test]
fn each_condition_alone_keeps_a_site_from_claiming() {
    assert!(claims(&free(), &rules()), "nothing else stands in the way");
    for (condition, change) in CONDITIONS {
        let mut facts = free();
        change(&mut facts);
        assert!(!claims(&facts, &rules()), "{condition}");
    }
    for mode in [FailoverMode::Approve, FailoverMode::Manual] {
        assert!(!claims(&free(), &Rules { mode, ..rules() }), "{mode:?}");
    }
}

#[test]
fn what_does_not_stand_in_the_way_does_not() {
    let mut handed_over = free();
    let handover = mainstay_core::record::Handover {
        execution: "move".to_owned(),
        to: name(1),
        positions: Default::default(),
    };
    seen(&mut handed_over).record.handover = Some(handover);
    assert!(claims(&handed_over, &rules()), "the active site died after it had handed over");

    let mut again = free();
    again.claiming = again.record.as_ref().map(|seen| seen.record.clone());
    assert!(claims(&again, &rules()), "a claim whose outcome is not known is made again");

    let mut planned = free();
    seen(&mut planned).record.cause = Cause::Switchover;
    planned.epoch_seen = ago(12);
    assert!(claims(&planned, &rules()), "the cool-down is for failovers");
}

fn ordered(facts: &Facts, outweighs: Outweighs, accept_loss: Option<Duration>) -> Facts {
    Facts { order: Some(Order { accept_loss, outweighs }), ..facts.clone() }
}

/// What an operator may do alone: say the word that the configuration waits for, and no more.
#[test]
fn an_order_that_forces_nothing_begins_only_what_the_agents_themselves_would_have_begun() {
    for mode in [FailoverMode::Automatic, FailoverMode::Approve, FailoverMode::Manual] {
        let rules = Rules { mode, ..rules() };
        let plain = |facts: &Facts| ordered(facts, Outweighs::These(Vec::new()), None);
        assert!(claims(&plain(&free()), &rules), "{mode:?}");
        for (condition, change) in CONDITIONS {
            let mut facts = free();
            change(&mut facts);
            assert!(!claims(&plain(&facts), &rules), "{mode:?}: {condition}");
        }
    }
}

#[test]
fn an_approved_order_outweighs_exactly_what_was_approved() {
    let hour = Some(Duration::from_secs(3600));
    let standing = |change: &dyn Fn(&mut Facts)| {
        let mut facts = free();
        change(&mut facts);
        let seen = facts.record.clone().expect("a record");
        (hindrances(&rules(), &facts, &seen, NOW), facts)
    };
    let yields = [
        "this site reaches",
        "the witness reaches",
        "another vantage reaches",
        "this site has not looked",
        "the witness has not looked",
        "the witness looked long ago",
        "changes arrive",
        "the lag is over the bound",
        "the lag grew after",
        "it is not proved equal",
        "the last failover is recent",
        "the health of the active site",
        "a clock is off",
    ];
    let mut forced = 0;
    for (condition, change) in CONDITIONS {
        let (found, facts) = standing(change);
        let all = Outweighs::These(found.clone());
        let yields = yields.iter().any(|begin| condition.starts_with(begin));
        assert_eq!(claims(&ordered(&facts, all, hour), &rules()), yields, "{condition}");
        forced += usize::from(yields);
        for (other, other_change) in CONDITIONS {
            let (named, _) = standing(other_change);
            let names: Vec<String> = named.iter().map(Hindrance::name).collect();
            let covered = found.iter().all(|it| names.contains(&it.name()));
            let order = ordered(&facts, Outweighs::These(named), None);
            assert!(covered || !claims(&order, &rules()), "{condition} by the approval of {other}");
        }
    }
    assert!(forced == 13, "{forced}");
}
