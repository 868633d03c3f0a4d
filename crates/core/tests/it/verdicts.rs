//! What one vantage concludes from its probes, and when.

use mainstay_core::lease::Lease;
use mainstay_core::watch::{Cadence, Look, Minute, Outcome, Probed, Tally, conclude};
use mainstay_core::{Tick, Verdict};
use std::time::Duration;

const LEASE: Lease = Lease::new(Duration::from_secs(10));

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn cadence(threshold: u32) -> Cadence {
    Cadence { interval: seconds(1), timeout: seconds(1), threshold }
}

fn at(second: u64) -> Tick {
    Tick::from_millis(second * 1000)
}

fn tally(threshold: u32, looks: &[(u64, Outcome)]) -> Tally {
    let mut tally = Tally::new(cadence(threshold), LEASE);
    for (second, outcome) in looks {
        let why = format!("seen at {second}");
        tally.take(Look { outcome: *outcome, gathered: at(*second), why });
    }
    tally
}

fn stands(tally: &Tally, second: u64) -> Option<Outcome> {
    tally.standing(at(second)).map(|look| look.outcome)
}

use Outcome::{Failed, Passed, Silent};

#[test]
fn as_many_looks_in_a_row_as_the_threshold_says_change_it_both_ways() {
    let mut looks = vec![(1, Passed), (2, Failed), (3, Silent)];
    assert_eq!(stands(&tally(3, &looks), 3), Some(Passed), "two are too few");
    looks.push((4, Passed));
    looks.extend([(5, Silent), (6, Silent)]);
    assert_eq!(stands(&tally(3, &looks), 6), Some(Passed), "they were not in a row");
    looks.push((7, Failed));
    assert_eq!(stands(&tally(3, &looks), 7), Some(Failed));
    looks.extend([(8, Passed), (9, Passed)]);
    assert_eq!(stands(&tally(3, &looks), 9), Some(Failed), "and back again");
    looks.push((10, Passed));
    assert_eq!(stands(&tally(3, &looks), 10), Some(Passed));
}

#[test]
fn the_first_look_stands_by_itself_also_after_a_gap() {
    assert_eq!(stands(&tally(3, &[(1, Silent)]), 1), Some(Silent));
    assert_eq!(stands(&tally(3, &[(1, Passed), (30, Silent)]), 30), Some(Silent));
}

/// An interval, two timeouts and a renewal of one second each.
#[test]
fn old_looks_stand_for_nothing() {
    let tally = tally(1, &[(10, Passed)]);
    assert_eq!(stands(&tally, 14), Some(Passed));
    assert_eq!(stands(&tally, 15), None);
}

fn concluded(looks: &[&[(u64, Outcome)]], agent: bool) -> (Verdict, String) {
    let tallies: Vec<Tally> = looks.iter().map(|looks| tally(1, looks)).collect();
    let names = ["web", "db"];
    let probes: Vec<Probed> =
        names.iter().zip(&tallies).map(|(name, tally)| Probed { name, tally }).collect();
    let conclusion = conclude(&probes, agent, at(10));
    (conclusion.verdict, conclusion.why)
}

#[test]
fn one_probe_that_fails_is_enough_and_silence_of_all_is_no_answer() {
    let (good, bad, silent): (&[_], &[_], &[_]) = (&[(9, Passed)], &[(9, Failed)], &[(9, Silent)]);
    for (looks, agent, expected) in [
        ([good, good], false, Verdict::Healthy),
        ([good, bad], true, Verdict::Unhealthy),
        ([silent, good], false, Verdict::Unhealthy),
        ([silent, bad], false, Verdict::Unhealthy),
        ([silent, silent], true, Verdict::Unhealthy),
        ([silent, silent], false, Verdict::Unreachable),
    ] {
        assert_eq!(concluded(&looks, agent).0, expected, "{looks:?} {agent}");
    }
}

#[test]
fn without_a_fresh_look_nothing_is_known_unless_another_probe_fails() {
    let (good, bad, old): (&[_], &[_], &[_]) = (&[(9, Passed)], &[(9, Failed)], &[(2, Passed)]);
    assert_eq!(concluded(&[good, old], true).0, Verdict::Unknown);
    assert_eq!(concluded(&[good, &[]], true).0, Verdict::Unknown);
    assert_eq!(concluded(&[bad, old], true).0, Verdict::Unhealthy);
    let why = "probe db has not been made lately";
    assert_eq!(concluded(&[good, old], true).1, why);
}

#[test]
fn it_names_the_probe_that_decides_and_what_it_saw() {
    let (good, bad): (&[_], &[_]) = (&[(9, Passed)], &[(8, Failed)]);
    let (_, why) = concluded(&[good, bad], false);
    assert_eq!(why, "probe db: seen at 8; its agent does not answer");
    assert_eq!(concluded(&[good, good], false).1, "web: seen at 9; db: seen at 9");
}

#[test]
fn without_probes_the_agent_speaks_for_its_site() {
    assert_eq!(concluded(&[], true).0, Verdict::Healthy);
    assert_eq!(concluded(&[], false).0, Verdict::Unreachable);
}

/// Every look takes all of its time, and the site is lost right after one has passed: simulated
/// tick by tick.
#[test]
fn a_loss_is_noticed_within_the_time_that_the_cadence_promises() {
    for (interval, timeout, threshold) in [(1, 1, 3), (1, 2, 2), (3, 1, 1), (2, 5, 4)] {
        let cadence = Cadence { interval: seconds(interval), timeout: seconds(timeout), threshold };
        let mut tally = Tally::new(cadence, LEASE);
        let look = |outcome, second| Look { outcome, gathered: at(second), why: String::new() };
        tally.take(look(Passed, 100));
        let mut begins = 100 + interval;
        let noticed = loop {
            tally.take(look(Silent, begins));
            let ends = begins + timeout;
            if tally.standing(at(ends)).is_some_and(|look| look.outcome == Silent) {
                break ends;
            }
            begins += interval.max(timeout);
        };
        assert_eq!(seconds(noticed - 100), cadence.notices_within(), "{cadence:?}");
    }
}

#[test]
fn the_times_that_stand_by_themselves_notice_a_loss_long_before_the_lease_is_over() {
    for lease in [3, 10, 300].map(|length| Lease::new(seconds(length))) {
        let cadence = Cadence::of(lease);
        assert!(cadence.notices_within() <= lease.length() / 2, "{cadence:?}");
        assert_eq!(cadence.fresh_for(lease), lease.fresh_for());
    }
}

#[test]
fn clients_fail_when_enough_ask_and_one_in_ten_is_not_served() {
    let web = |requests, failed| Minute { requests, failed, ..Minute::default() };
    for (minute, bad) in [
        (web(19, 19), false),
        (web(20, 2), true),
        (web(20, 1), false),
        (web(10_000, 999), false),
        (web(10_000, 1_000), true),
        (Minute { connections: 20, unconnected: 2, ..web(10_000, 0) }, true),
        (Minute { connections: 19, unconnected: 19, ..web(0, 0) }, false),
    ] {
        assert_eq!(minute.is_bad(), bad, "{minute:?}");
    }
}
