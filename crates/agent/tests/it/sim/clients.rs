//! The application's clients, and when faults begin.

use super::estate;
use super::faults::{self, Family};
use super::oracle::{self, Acknowledged};
use super::world::{WITNESS, World};

/// A client at a site, again and again.
pub fn through_the_gate(world: &mut World, site: usize) {
    if let Some(to) = world.leads_to(site) {
        attempt(world, to, site);
    } else {
        refuse(world, site);
    }
    let next = world.now + world.random.within(20..80);
    world.schedule(next, move |world| through_the_gate(world, site));
}

/// One that found the way to the database past the gate.
pub fn past_the_gate(world: &mut World, site: usize) {
    attempt(world, site, WITNESS);
    let next = world.now + world.random.within(50..250);
    world.schedule(next, move |world| past_the_gate(world, site));
}

fn attempt(world: &mut World, to: usize, by: usize) {
    if world.oracle.quiet {
        return;
    }
    let tx = u64::try_from(world.oracle.acknowledged.len()).expect("small");
    if world.write(tx, to) {
        let at = world.now;
        world.oracle.acknowledged.push(Acknowledged { tx, site: to, at });
    } else if by != WITNESS {
        refuse(world, by);
    }
}

/// Only where the active site is well is a refusal a fault.
fn refuse(world: &mut World, at: usize) {
    let active = world.oracle.agreed.last().map(|it| it.active);
    if active == Some(at) && world.oracle.watched {
        world.oracle.refused += 1;
    }
}

/// Faults begin.
pub fn begin(world: &mut World, family: Family, end: u64) {
    let active = world.oracle.agreed.last().map_or(0, |it| it.active);
    world.oracle.watched = family.is_calm();
    match family {
        Family::CutBetweenSites => {
            let (from, both) = (usize::from(world.random.one_in(2)), world.random.one_in(2));
            let length = world.random.within(1_000..30_000);
            faults::cut(world, from, 1 - from, both, length);
        }
        Family::WitnessLost => witness(world),
        Family::Disaster => {
            let after = world.now + world.random.below(5_000);
            world.schedule(after, move |world| faults::power_off(world, active, None));
            world.schedule(after + estate::FOLLOWED, move |world| oracle::followed(world, active));
        }
        Family::Restored => {
            faults::restore(world);
            faults::storm(world, end - 2_000);
        }
        Family::Storm => faults::storm(world, end - 2_000),
    }
}

fn witness(world: &mut World) {
    match world.random.below(3) {
        0 => {
            let length = world.random.within(1_000..30_000);
            faults::power_off(world, WITNESS, Some(length));
        }
        1 => faults::stop(world, WITNESS),
        _ => {
            let length = world.random.within(1_000..30_000);
            faults::cut(world, 0, WITNESS, true, length);
            faults::cut(world, 1, WITNESS, true, length);
        }
    }
}
