//! A fence from outside: the other site is stopped by means of its own.
//!
//! What is looked for is whether a proof of it can be outlived: the stopped site begins anew at any
//! instant, also before who fenced it hears of it; its requests arrive late; who fenced it crashes,
//! or stands still, in between.

use super::budget::Budget;
use super::explore::{Explored, Explorer};
use super::families::{NONE, hold, steady};
use super::invariants::ONE;
use super::liveness::{follows, heals};
use super::step::Step;
use super::world::{Fence, FencePhase};
use mainstay_core::estate::FailoverMode::{self, Approve, Automatic};

/// What another record than the one it was begun with leaves of a fence: nothing, but that one
/// under way is under way.
pub fn after_reading(fence: Option<Fence>) -> Option<Fence> {
    let other = fence.map(|it| Fence { seen_other: it.seen_other || !it.stands, ..it });
    other.filter(|it| it.is_open() || !it.seen_other)
}

/// What is kept over a crash: that it was begun, and that it came to nothing.
pub fn after_a_crash(fence: Option<Fence>) -> Option<Fence> {
    let phase = |it: Fence| match it.phase {
        FencePhase::Unknown => FencePhase::Unknown,
        _ => FencePhase::Looks,
    };
    fence.map(|it| Fence { phase: phase(it), promised: false, ..it })
}

impl Step<'_> {
    /// Decided upon just now, and kept before the command is run.
    pub fn fence_outside(&mut self, site: usize) {
        let stands = self.agent(site).seen.is_some_and(|seen| seen.stands);
        let phase = FencePhase::UnderWay;
        self.site(site).kept.fence =
            Some(Fence { phase, stands, seen_other: false, promised: false });
        self.notes.happened.insert("fence begun");
    }

    /// The command stops the other site, or it is found to be stopped. A means that lies leaves it
    /// running.
    pub fn stops(&mut self, site: usize) -> bool {
        let Some(fence) = self.world.sites[site].kept.fence else { return false };
        let under_way = fence.phase == FencePhase::UnderWay;
        let looks = fence.phase == FencePhase::Looks && self.world.sites[1 - site].down;
        if !under_way && !looks || !self.may_act(site) || !self.spend(|it| &mut it.fences) {
            return false;
        }
        if under_way && !self.world.budget.lies {
            self.stop_site(1 - site);
            self.notes.happened.insert("stopped from outside");
        }
        let phase = FencePhase::SeenStopped;
        self.site(site).kept.fence = Some(Fence { phase, ..fence });
        true
    }

    /// Confirmed only where it was seen; else nobody knows.
    pub fn fence_ends(&mut self, site: usize) -> bool {
        let Some(fence) = self.world.sites[site].kept.fence else { return false };
        if !self.may_act(site) || !fence.is_open() {
            return false;
        }
        let (phase, what) = match fence.phase {
            FencePhase::SeenStopped => (FencePhase::Confirmed, "fence confirmed"),
            _ => (FencePhase::Unknown, "fence unknown"),
        };
        self.notes.happened.insert(what);
        // Bound to another record than the one that is seen now, it is worth nothing.
        let ended = Some(Fence { phase, ..fence }).filter(|it| !it.seen_other);
        self.site(site).kept.fence = ended;
        true
    }
}

const BUDGET: Budget = Budget { fences: 1, ..NONE };

fn explore(mode: FailoverMode, budget: Budget) -> Explored {
    Explorer::new(mode).with_means().explore(steady(budget))
}

const FENCED: &[&str] =
    &["fence begun", "stopped from outside", "fence confirmed", "fence unknown", "sooner"];

#[test]
fn a_site_that_is_cut_off_is_stopped_before_the_other_one_serves() {
    hold(&explore(Automatic, Budget { cuts: 2, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { cuts: 2, late: 1, epochs: 1, ..BUDGET }), FENCED);
}

#[test]
fn a_crash_of_either_site_and_a_cut_around_a_fence() {
    hold(&explore(Automatic, Budget { crashes: 1, cuts: 1, epochs: 2, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { crashes: 2, epochs: 1, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { crashes: 1, cuts: 2, epochs: 1, ..BUDGET }), FENCED);
}

#[test]
fn an_agent_that_stands_still_or_a_wrong_clock_around_a_fence() {
    hold(&explore(Automatic, Budget { crashes: 1, pauses: 1, epochs: 1, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { cuts: 2, clocks: 1, epochs: 1, ..BUDGET }), FENCED);
}

#[test]
fn something_wrong_with_a_site_around_a_fence() {
    hold(&explore(Automatic, Budget { troubles: 1, crashes: 1, epochs: 1, ..BUDGET }), FENCED);
}

#[test]
fn a_planned_move_or_an_order_around_a_fence() {
    hold(&explore(Automatic, Budget { moves: 1, crashes: 1, epochs: 2, ..BUDGET }), FENCED);
    let saw = ["ordered failover", "fence confirmed"];
    hold(&explore(Approve, Budget { orders: 1, crashes: 1, epochs: 1, ..BUDGET }), &saw);
}

/// The check can fail: a means whose word is not true is more than any rule can bear.
#[test]
fn a_means_that_lies_is_seen_to_break_the_first_invariant() {
    let explored = explore(Automatic, Budget { cuts: 2, clocks: 1, lies: true, ..BUDGET });
    println!("{explored}");
    assert_eq!(explored.violation.expect("two sites serve").0, ONE);
}

#[test]
fn a_fence_of_which_nothing_comes_keeps_nobody_from_following_or_healing() {
    let explorer = || Explorer::new(Automatic).with_means();
    let unknown = Budget { fences: 0, ..BUDGET };
    let saw = ["fence begun", "fence unknown"];
    hold(&explorer().also(follows).explore(steady(Budget { cuts: 2, ..unknown })), &saw);
    hold(&explorer().also(heals).explore(steady(Budget { cuts: 2, ..unknown })), &saw);
    hold(&explorer().also(heals).explore(steady(Budget { cuts: 2, epochs: 2, ..BUDGET })), FENCED);
}

#[test]
fn soak_a_fence_two_partitions_and_a_crash() {
    hold(&explore(Automatic, Budget { cuts: 2, crashes: 1, fences: 2, ..BUDGET }), FENCED);
}

#[test]
fn soak_a_fence_two_partitions_a_pause_and_a_late_request() {
    hold(&explore(Automatic, Budget { cuts: 2, pauses: 1, epochs: 2, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { cuts: 2, late: 1, fences: 2, ..BUDGET }), FENCED);
}

#[test]
fn soak_a_fence_an_order_or_trouble_and_two_faults() {
    let ordered = Budget { orders: 1, crashes: 1, cuts: 1, epochs: 2, ..BUDGET };
    hold(&explore(Approve, ordered), &["ordered failover", "fence confirmed"]);
    hold(&explore(Automatic, Budget { troubles: 1, crashes: 1, epochs: 2, ..BUDGET }), FENCED);
    hold(&explore(Automatic, Budget { cuts: 2, clocks: 1, epochs: 2, ..BUDGET }), FENCED);
}

#[test]
fn soak_a_fence_two_crashes_and_an_old_copy() {
    let budget = Budget { restores: 1, crashes: 2, epochs: 2, ..BUDGET };
    hold(&explore(Automatic, budget), FENCED);
}
