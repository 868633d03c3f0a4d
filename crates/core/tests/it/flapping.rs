//! Health that comes and goes is followed once at most, until there was some peace.

use crate::simulation::{run_for, seeds};
use crate::world::{World, name};
use mainstay_core::decision::{Hindrance, Order, Outweighs};
use mainstay_core::lease::Lease;
use mainstay_core::watch::Damping;
use mainstay_core::{Tick, Verdict};
use std::time::Duration;

fn at(seconds: u64) -> Tick {
    Tick::from_millis(seconds * 1000)
}

/// The shortest lease: a loss of five seconds is long enough to be followed.
fn short_lease(seed: u64) -> World {
    let mut world = World::new(seed);
    world.rules.lease = Lease::new(Duration::from_secs(3));
    run_for(&mut world, 15_000, |_| {});
    assert!(world.serves(0), "seed {seed}");
    world
}

/// Whichever site is active: five seconds up, five seconds down.
fn flap(world: &mut World, seconds: u64) {
    for _ in 0..seconds / 10 {
        world.sick = true;
        run_for(world, 5_000, |_| {});
        world.sick = false;
        run_for(world, 5_000, |_| {});
    }
}

#[test]
fn an_hour_of_five_seconds_up_and_five_seconds_down_leads_to_one_failover_at_most() {
    let mut followed = 0;
    for seed in seeds(20) {
        let mut world = short_lease(seed);
        flap(&mut world, 3600);
        assert!(world.history.len() <= 2, "seed {seed}: {:?}", world.history);
        followed += world.history.len() - 1;
    }
    assert!(followed > 0, "the first loss of some run is followed");
}

/// The same hour without it: otherwise the test above would prove nothing.
#[test]
fn undamped_the_same_hour_leads_from_site_to_site() {
    let mut world = short_lease(1);
    world.damped = false;
    flap(&mut world, 3600);
    assert!(world.history.len() > 10, "{:?}", world.history);
}

#[test]
fn a_site_that_stays_lost_after_flapping_is_followed_by_itself_when_there_was_peace() {
    let mut world = short_lease(1);
    world.rules.lease = Lease::new(Duration::from_secs(10));
    flap(&mut world, 60);
    assert_eq!(world.history.len(), 1, "ten seconds of lease outlast five of silence");
    world.sick = true;
    run_for(&mut world, 60_000, |_| {});
    let hindrances = world.sites[1].decided.as_ref().expect("west decides").hindrances.clone();
    let [Hindrance::Flapping { rest }] = hindrances.as_slice() else { panic!("{hindrances:?}") };
    run_for(&mut world, u64::try_from(rest.as_millis()).expect("short") - 5_000, |_| {});
    assert_eq!(world.history.len(), 1, "not before");
    run_for(&mut world, 8_000, |_| {});
    assert_eq!(world.history.len(), 2, "and then by itself");
}

#[test]
fn a_persons_order_outweighs_it() {
    let mut world = short_lease(1);
    world.rules.lease = Lease::new(Duration::from_secs(10));
    flap(&mut world, 60);
    world.sick = true;
    run_for(&mut world, 30_000, |_| {});
    assert_eq!(world.history.len(), 1);
    world.sites[1].facts.order = Some(Order { accept_loss: None, outweighs: Outweighs::All });
    run_for(&mut world, 5_000, |_| {});
    assert_eq!(world.history.last().map(|(_, site)| site.clone()), Some(name(1)));
}

/// RFC 2439, section 4.2: a thousand for each loss, halved with each half-life.
#[test]
fn the_penalty_is_that_of_the_rfc() {
    let mut health = Damping::default();
    let lose = |health: &mut Damping, second| {
        health.take(Verdict::Healthy, at(second));
        health.take(Verdict::Unreachable, at(second));
    };
    lose(&mut health, 0);
    health.take(Verdict::Unhealthy, at(1));
    health.take(Verdict::Unknown, at(2));
    assert!((health.penalty(at(300)) - 500.0).abs() < 1e-6, "still the same loss");
    health.take(Verdict::Healthy, at(300));
    health.take(Verdict::Unknown, at(300));
    assert!((health.penalty(at(300)) - 500.0).abs() < 1e-6, "to know nothing is no loss");
    lose(&mut health, 300);
    assert!((health.penalty(at(300)) - 1500.0).abs() < 1e-6);
    assert_eq!(health.suppressed(at(300)), None, "two losses are none too many");
    lose(&mut health, 310);
    let rest = health.suppressed(at(310)).expect("three are");
    // 1500 * 2^(-1/30) + 1000 decays to 750 in 300 s * log2(2465.74 / 750).
    assert!((rest.as_secs_f64() - 515.10).abs() < 0.05, "{rest:?}");
    assert!(health.suppressed(at(310).plus(rest - Duration::from_secs(1))).is_some());
    assert!(health.suppressed(at(310).plus(rest + Duration::from_secs(1))).is_none());
}

#[test]
fn however_often_it_was_lost_it_is_forgiven_within_twenty_minutes() {
    let mut health = Damping::default();
    for second in 0..3600 {
        let verdict = if second % 2 == 0 { Verdict::Healthy } else { Verdict::Unhealthy };
        health.take(verdict, at(second));
    }
    let rest = health.suppressed(at(3599)).expect("it flaps");
    assert!(rest <= Duration::from_secs(1200), "{rest:?}");
}

/// The new active site's first loss is its own; what the application went through before counts.
#[test]
fn another_active_site_begins_with_what_was_counted_and_without_a_loss_of_its_own() {
    let mut health = Damping::default();
    for second in [0, 1] {
        health.take(Verdict::Healthy, at(second));
        health.take(Verdict::Unhealthy, at(second));
    }
    health.take(Verdict::Healthy, at(2));
    let mut health = health.of_another_site();
    health.take(Verdict::Unreachable, at(2));
    assert_eq!(health.suppressed(at(2)), None, "it was never healthy");
    health.take(Verdict::Healthy, at(3));
    health.take(Verdict::Unreachable, at(3));
    assert!(health.suppressed(at(3)).is_some());
}

#[test]
fn a_loss_once_in_ten_minutes_is_no_flapping() {
    let mut health = Damping::default();
    for loss in 0..20 {
        health.take(Verdict::Healthy, at(loss * 600));
        health.take(Verdict::Unreachable, at(loss * 600 + 1));
        assert_eq!(health.suppressed(at(loss * 600 + 1)), None, "loss {loss}");
    }
}
