//! Invariants 1, 2, 5 and 6 of the design, on the shipped decision.

use crate::simulation::{disturb, heal, run_for, seeds};
use crate::world::{WITNESS, World, name};
use mainstay_core::Epoch;

fn never_both(world: &World, seed: u64) {
    let both = world.serves(0) && world.serves(1);
    assert!(!both, "seed {seed}: both sites serve at {} ms", world.now);
}

/// An epoch has one holder, and the next one is one more.
fn epochs_rise(world: &World, seed: u64) {
    for (index, (epoch, holder)) in world.history.iter().enumerate() {
        assert_eq!(epoch.number(), index as u64 + 1, "seed {seed}: {holder}");
    }
}

#[test]
fn whatever_fails_two_sites_never_serve_at_once_and_healing_brings_one_back() {
    let mut failovers = 0;
    for seed in seeds(300) {
        let mut world = World::new(seed);
        run_for(&mut world, 5_000, |world| never_both(world, seed));
        for _ in 0..25 {
            disturb(&mut world);
            let pause = 200 + world.random.below(8_000);
            run_for(&mut world, pause, |world| never_both(world, seed));
        }
        heal(&mut world);
        run_for(&mut world, 60_000, |world| never_both(world, seed));
        epochs_rise(&world, seed);
        failovers += world.history.len() - 1;
        let one = world.serves(0) ^ world.serves(1);
        assert!(one, "seed {seed}: nobody serves a minute after everything healed");
    }
    assert!(failovers > 0, "no run came to a failover: the property was not tried");
}

#[test]
fn the_active_site_gone_for_good_is_followed_by_the_other_within_twenty_seconds() {
    for seed in seeds(50) {
        let mut world = World::new(seed);
        run_for(&mut world, 15_000, |world| never_both(world, seed));
        assert!(world.serves(0), "seed {seed}");
        world.crash(0);
        world.sites[0].gate = None;
        let killed = world.now;
        let mut back = None;
        run_for(&mut world, 20_000, |world| {
            never_both(world, seed);
            back = back.or(world.serves(1).then_some(world.now));
        });
        let took = back.map(|at| at - killed);
        assert!(took.is_some_and(|took| took <= 14_000), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_cut_between_the_sites_alone_changes_nothing() {
    let mut world = World::new(7);
    run_for(&mut world, 5_000, |_| {});
    (world.cut[0][1], world.cut[1][0]) = (true, true);
    run_for(&mut world, 600_000, |world| assert!(world.serves(0), "at {} ms", world.now));
    assert_eq!(world.history, vec![(Epoch::new(1), name(0))]);
}

#[test]
fn the_loss_of_the_witness_or_the_whole_coordinator_stops_no_write() {
    for loss in 0..3 {
        let mut world = World::new(11);
        run_for(&mut world, 5_000, |_| {});
        match loss {
            0 => world.coordinator_up = false,
            1 => (world.cut[0][WITNESS], world.cut[WITNESS][0]) = (true, true),
            _ => world.cut = [[false, false, true], [false, false, true], [true, true, false]],
        }
        run_for(&mut world, 600_000, |world| {
            assert!(world.serves(0), "loss {loss}, at {} ms", world.now);
        });
        heal(&mut world);
        run_for(&mut world, 60_000, |world| assert!(world.serves(0), "loss {loss}, after"));
        assert_eq!(world.history.len(), 1);
    }
}

#[test]
fn an_active_site_cut_off_from_everyone_stops_within_half_a_lease() {
    let mut world = World::new(13);
    run_for(&mut world, 5_000, |_| {});
    world.cut = [[false, true, true], [true, false, false], [true, false, false]];
    let cut = world.now;
    let mut stopped = None;
    run_for(&mut world, 20_000, |world| {
        never_both(world, 13);
        stopped = stopped.or((!world.serves(0)).then_some(world.now));
    });
    assert!(stopped.is_some_and(|at| at - cut <= 5_000), "{stopped:?}");
    assert!(world.serves(1), "the other site took over");
}

#[test]
fn a_paused_agent_that_wakes_up_does_not_serve_again() {
    let mut world = World::new(17);
    run_for(&mut world, 5_000, |_| {});
    world.sites[0].paused_until = world.now + 60_000;
    run_for(&mut world, 120_000, |world| never_both(world, 17));
    assert!(world.serves(1) && !world.serves(0));
    assert_eq!(world.history.len(), 2);
}
