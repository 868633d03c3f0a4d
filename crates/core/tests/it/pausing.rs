//! While it is paused no failover begins by itself; a pause ends by itself, and yields to a person.

use crate::simulation::{disturb, run_for, seeds};
use crate::world::{World, name};
use mainstay_core::decision::{Hindrance, Order, Outweighs};
use std::time::Duration;

/// East serves, and a person pauses for so long.
fn paused(seed: u64, seconds: u64) -> World {
    let mut world = World::new(seed);
    run_for(&mut world, 15_000, |_| {});
    assert!(world.serves(0), "seed {seed}");
    world.pause(Duration::from_secs(seconds));
    world
}

fn lose_east(world: &mut World) {
    world.crash(0);
    world.sites[0].gate = None;
}

#[test]
fn whatever_fails_and_whoever_restarts_no_failover_begins_by_itself() {
    for seed in seeds(40) {
        let mut world = paused(seed, 3600);
        for _ in 0..40 {
            disturb(&mut world);
            let wait = 200 + world.random.below(20_000);
            run_for(&mut world, wait, |_| {});
            assert_eq!(world.history.len(), 1, "seed {seed}: {:?}", world.history);
        }
    }
}

/// Nobody counts it down in the record any more; the clocks differ by up to 2 %.
#[test]
fn it_ends_when_its_time_is_over_also_when_the_active_site_is_lost_meanwhile() {
    for seed in seeds(50) {
        let mut world = paused(seed, 60);
        run_for(&mut world, 20_000, |_| {});
        lose_east(&mut world);
        run_for(&mut world, 38_000, |_| {});
        assert_eq!(world.history.len(), 1, "seed {seed}: too soon");
        run_for(&mut world, 5_000, |_| {});
        assert_eq!(world.history.len(), 2, "seed {seed}: it does not end");
    }
}

#[test]
fn the_active_site_removes_it_from_the_record_when_its_time_is_over() {
    for seed in seeds(50) {
        let mut world = paused(seed, 30);
        run_for(&mut world, 28_000, |_| {});
        assert!(world.record.as_ref().is_some_and(|it| it.pause.is_some()), "seed {seed}");
        run_for(&mut world, 5_000, |_| {});
        assert!(world.record.as_ref().is_some_and(|it| it.pause.is_none()), "seed {seed}");
    }
}

#[test]
fn it_is_what_stands_in_the_way_and_a_persons_order_outweighs_it() {
    let mut world = paused(1, 3600);
    lose_east(&mut world);
    run_for(&mut world, 60_000, |_| {});
    let decided = world.sites[1].decided.as_ref().expect("west decides");
    let [Hindrance::Paused(pause)] = decided.hindrances.as_slice() else {
        panic!("{:?}", decided.hindrances)
    };
    assert_eq!((pause.by.as_str(), &pause.site), ("alice", &name(1)));

    world.sites[1].facts.order = Some(Order { accept_loss: None, outweighs: Outweighs::All });
    run_for(&mut world, 2_000, |_| {});
    assert_eq!(world.history.len(), 2, "a person's word is obeyed");
    assert!(world.record.as_ref().is_some_and(|it| it.pause.is_some()), "it outlives the move");
}

/// The pause of a site that is alone does not look like a sign of life of the lost one.
#[test]
fn to_pause_and_to_end_it_again_does_not_prolong_the_lease_of_a_lost_site() {
    let mut world = paused(1, 5);
    lose_east(&mut world);
    for _ in 0..4 {
        run_for(&mut world, 3_000, |_| {});
        world.pause(Duration::from_secs(1));
    }
    run_for(&mut world, 2_500, |_| {});
    assert_eq!(world.history.len(), 2, "{:?}", world.sites[1].decided);
}
