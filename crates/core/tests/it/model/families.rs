//! What is explored. Each family is exhaustive within its budget; those of `make test` are small,
//! the `soak_` ones take minutes.

use super::budget::{Budget, Only};
use super::explore::{Explored, Explorer};
use super::invariants::ONE;
use super::liveness::{follows, goes_on, heals};
use super::world::World;
use mainstay_core::estate::FailoverMode::{self, Approve, Automatic, Manual};

pub const NONE: Budget = Budget {
    cuts: 0,
    crashes: 0,
    pauses: 0,
    clocks: 0,
    late: 0,
    troubles: 0,
    moves: 0,
    orders: 0,
    restores: 0,
    fences: 0,
    lies: false,
    epochs: 3,
    beyond: false,
    only: None,
};

/// East is active and west follows; everything is well, and has been for long.
pub fn steady(budget: Budget) -> World {
    let mut world = World::empty(NONE);
    Explorer::new(Automatic).settle(&mut world, 12);
    assert!(world.accepts(0) && !world.accepts(1), "east serves");
    World { budget, ..world }
}

/// Everything holds, and what the family is about did come about.
pub fn hold(explored: &Explored, saw: &[&str]) {
    println!("{explored}");
    if let Some((invariant, trace)) = &explored.violation {
        panic!("does not hold: {invariant}\n{trace}");
    }
    for event in saw {
        assert!(explored.notes.happened.contains(event), "never came about: {event}");
    }
}

fn explore(mode: FailoverMode, budget: Budget) -> Explored {
    Explorer::new(mode).explore(steady(budget))
}

const FAILOVER: &[&str] = &["automatic failover", "promotion"];
/// Where nothing is followed beyond the claim.
const REACHED: &[&str] = &["automatic failover"];
const MOVE: &[&str] = &["handed over", "switchover", "taken back", "promotion"];

#[test]
fn from_nothing_only_the_home_site_begins() {
    let world = World::empty(Budget { crashes: 1, late: 1, epochs: 1, ..NONE });
    hold(&Explorer::new(Automatic).explore(world), &["founded", "automatic failover"]);
}

#[test]
fn two_partitions_and_a_late_request() {
    hold(&explore(Automatic, Budget { cuts: 2, late: 1, ..NONE }), FAILOVER);
}

#[test]
fn two_crashes_and_a_partition() {
    hold(&explore(Automatic, Budget { crashes: 2, ..NONE }), FAILOVER);
    hold(&explore(Automatic, Budget { cuts: 1, crashes: 2, epochs: 1, ..NONE }), REACHED);
}

#[test]
fn two_partitions_and_a_pause() {
    let saw = ["automatic failover", "promise"];
    hold(&explore(Automatic, Budget { cuts: 2, pauses: 1, ..NONE }), &saw);
}

#[test]
fn soak_a_pause_and_three_partitions() {
    hold(&explore(Automatic, Budget { cuts: 3, pauses: 1, ..NONE }), FAILOVER);
}

#[test]
fn a_clock_at_half_or_twice_its_rate() {
    hold(&explore(Automatic, Budget { cuts: 2, clocks: 1, ..NONE }), FAILOVER);
    hold(&explore(Automatic, Budget { crashes: 1, clocks: 1, ..NONE }), FAILOVER);
}

/// The check can fail: this is more than the lease promises to bear.
#[test]
fn a_clock_at_six_times_its_rate_is_seen_to_break_the_first_invariant() {
    let explored = explore(Automatic, Budget { cuts: 2, clocks: 1, beyond: true, ..NONE });
    println!("{explored}");
    assert_eq!(explored.violation.expect("two sites serve").0, ONE);
}

#[test]
fn something_wrong_with_a_site_and_a_crash() {
    hold(&explore(Automatic, Budget { troubles: 1, crashes: 1, ..NONE }), FAILOVER);
    hold(&explore(Automatic, Budget { troubles: 1, cuts: 1, ..NONE }), FAILOVER);
}

#[test]
fn a_planned_move_and_one_fault() {
    hold(&explore(Automatic, Budget { moves: 1, cuts: 1, ..NONE }), MOVE);
    hold(&explore(Automatic, Budget { moves: 1, crashes: 1, ..NONE }), MOVE);
    hold(&explore(Automatic, Budget { moves: 1, pauses: 1, ..NONE }), MOVE);
    hold(&explore(Automatic, Budget { moves: 2, late: 1, ..NONE }), MOVE);
}

#[test]
fn a_person_orders_a_failover() {
    let saw = ["ordered failover", "order obeyed"];
    for mode in [Automatic, Approve, Manual] {
        hold(&explore(mode, Budget { orders: 1, crashes: 1, cuts: 1, epochs: 1, ..NONE }), &saw);
    }
}

/// The coordinator's store is replaced by an old copy, as the guide says: after it was stopped for
/// longer than a lease.
#[test]
fn an_old_copy_of_the_record_is_brought_back() {
    let budget = Budget { restores: 1, crashes: 2, ..NONE };
    hold(&explore(Automatic, budget), &["automatic failover", "an old copy is back"]);
}

#[test]
fn a_cut_between_the_sites_alone_changes_nothing() {
    let budget = Budget { cuts: 3, late: 1, only: Some(Only::Between), ..NONE };
    let explored = Explorer::new(Automatic).also(goes_on).explore(steady(budget));
    hold(&explored, &["renewed"]);
    assert!(!explored.notes.happened.contains("automatic failover"));
}

#[test]
fn the_loss_of_the_witness_and_the_coordinator_stops_no_write() {
    let budget = Budget { cuts: 3, crashes: 2, only: Some(Only::Witness), ..NONE };
    let explored = Explorer::new(Automatic).also(goes_on).explore(steady(budget));
    hold(&explored, &["promise"]);
    assert!(!explored.notes.happened.contains("automatic failover"));
}

/// Everything but the active site looks dead to it, and it is not fenced.
#[test]
fn the_loss_of_the_standby_stops_no_write() {
    let budget = Budget { cuts: 3, crashes: 3, only: Some(Only::Standby), ..NONE };
    hold(&Explorer::new(Automatic).also(goes_on).explore(steady(budget)), &["renewed"]);
}

#[test]
fn the_active_site_gone_for_good_is_followed_also_in_the_middle_of_a_move() {
    for budget in [Budget { cuts: 1, ..NONE }, Budget { moves: 1, late: 1, ..NONE }] {
        hold(&Explorer::new(Automatic).also(follows).explore(steady(budget)), &["renewed"]);
    }
}

#[test]
fn the_active_site_whose_stores_take_no_write_is_followed() {
    let budget = Budget { troubles: 1, epochs: 1, ..NONE };
    hold(&Explorer::new(Automatic).explore(steady(budget)), &["stores were followed"]);
}

#[test]
fn when_everything_is_well_again_one_site_serves() {
    for budget in [
        Budget { cuts: 2, ..NONE },
        Budget { crashes: 2, ..NONE },
        Budget { pauses: 1, cuts: 1, ..NONE },
        Budget { moves: 1, crashes: 1, ..NONE },
        Budget { clocks: 1, cuts: 1, late: 1, ..NONE },
        Budget { troubles: 1, cuts: 1, ..NONE },
    ] {
        hold(&Explorer::new(Automatic).also(heals).explore(steady(budget)), &["renewed"]);
    }
}

#[test]
fn soak_an_order_and_two_faults() {
    for mode in [Automatic, Approve, Manual] {
        hold(&explore(mode, Budget { orders: 1, cuts: 2, ..NONE }), &["ordered failover"]);
        let budget = Budget { orders: 1, crashes: 1, troubles: 1, epochs: 2, ..NONE };
        hold(&explore(mode, budget), &["ordered failover"]);
    }
}

#[test]
fn soak_two_partitions_and_two_crashes() {
    hold(&explore(Automatic, Budget { cuts: 2, crashes: 2, epochs: 2, ..NONE }), FAILOVER);
}

#[test]
fn soak_two_partitions_a_crash_and_a_clock() {
    hold(&explore(Automatic, Budget { cuts: 2, crashes: 1, clocks: 1, ..NONE }), FAILOVER);
}

#[test]
fn soak_two_partitions_a_pause_and_a_clock() {
    hold(&explore(Automatic, Budget { cuts: 2, pauses: 1, clocks: 1, ..NONE }), FAILOVER);
}

#[test]
fn soak_two_crashes_a_partition_and_a_pause() {
    let budget = Budget { cuts: 1, crashes: 2, pauses: 1, epochs: 2, ..NONE };
    hold(&explore(Automatic, budget), FAILOVER);
}

#[test]
fn soak_four_partitions_and_a_late_request() {
    hold(&explore(Automatic, Budget { cuts: 4, late: 1, ..NONE }), FAILOVER);
}

#[test]
fn soak_a_planned_move_and_two_faults() {
    hold(&explore(Automatic, Budget { moves: 1, cuts: 1, pauses: 1, ..NONE }), MOVE);
    hold(&explore(Automatic, Budget { moves: 1, cuts: 1, late: 1, ..NONE }), MOVE);
    hold(&explore(Automatic, Budget { moves: 1, cuts: 1, crashes: 1, epochs: 2, ..NONE }), MOVE);
}

#[test]
fn soak_an_old_copy_two_crashes_and_a_partition() {
    hold(&explore(Automatic, Budget { restores: 1, crashes: 2, cuts: 1, ..NONE }), FAILOVER);
}

/// More than can be exhausted: every state up to the depth that is printed.
#[test]
fn soak_everything_at_once_as_far_as_it_goes() {
    let budget =
        Budget { cuts: 2, crashes: 2, pauses: 1, clocks: 1, late: 1, moves: 1, orders: 1, ..NONE };
    let explored = Explorer::new(Automatic).at_most(25_000_000).explore(steady(budget));
    hold(&explored, &["automatic failover", "switchover", "ordered failover"]);
}
