//! What must be true, judged by the model's databases, the clients' acknowledgements and the
//! coordinator's records; nothing here asks an agent.

use super::database::Tx;
use super::estate::NAMES;
use super::world::World;
use mainstay_core::record::Cause;
use mainstay_core::{Epoch, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds within which an opening that was decided on has come to its database, or never does.
const UNDER_WAY: u64 = 3_000;

pub struct Acknowledged {
    pub tx: Tx,
    pub site: usize,
    pub at: u64,
}

/// A change of the coordinator's record.
pub struct Agreed {
    pub at: u64,
    pub epoch: Epoch,
    pub active: usize,
    pub cause: Cause,
}

#[derive(Default)]
pub struct Oracle {
    pub acknowledged: Vec<Acknowledged>,
    /// Attempts at the active site's gate that were refused since the first was acknowledged.
    pub refused: u64,
    pub agreed: Vec<Agreed>,
    /// Of the databases: who opened in each epoch.
    holders: BTreeMap<Epoch, usize>,
    /// Refusals count.
    pub watched: bool,
    /// All is well, and clients rest so that the sites can be seen to be equal.
    pub quiet: bool,
    /// The record was put back by a person's restore.
    pub restored: bool,
    /// The newest epoch on the disk of each site's agent, and since when it is known to be there.
    remembered: [Option<(Epoch, u64)>; 2],
    pub cool_down: u64,
    /// The first rule that was broken.
    pub broken: Option<String>,
}

fn broken(world: &mut World, rule: String) {
    if world.oracle.broken.is_none() {
        world.note(format_args!("BROKEN: {rule}"));
        world.oracle.broken = Some(rule);
    }
}

/// After every event.
pub fn check(world: &mut World) {
    if (0..2).all(|site| world.sites[site].up && world.databases[site].is_open()) {
        broken(world, "two databases accept the application's writes".to_owned());
    }
}

/// A database was opened.
pub fn opened(world: &mut World, site: usize, epoch: Epoch) {
    let holder = *world.oracle.holders.entry(epoch).or_insert(site);
    if holder != site {
        broken(world, format!("epoch {epoch} is held by two sites"));
    }
    let newest = world.oracle.holders.last_key_value().map(|(epoch, _)| *epoch);
    // Whoever never heard of a newer epoch has to believe the record that a person brought back.
    let believes = world.oracle.restored && !remembers_newer(world, site, epoch);
    if newest > Some(epoch) && !believes {
        broken(world, format!("epoch {epoch} opens a database after a newer one did"));
    }
}

/// For longer than anything takes that was begun before.
fn remembers_newer(world: &World, site: usize, epoch: Epoch) -> bool {
    let remembered = world.oracle.remembered[site];
    remembered.is_some_and(|(newest, since)| newest > epoch && since + UNDER_WAY <= world.now)
}

/// What is on the disk of a site's agent.
pub fn remembers(world: &mut World, site: usize, newest: Epoch) {
    let known = &mut world.oracle.remembered[site];
    if known.is_none_or(|(known, _)| known < newest) {
        *known = Some((newest, world.now));
    }
}

/// The record as the coordinator holds it now.
pub fn agreed(world: &mut World, record: &Record) {
    let active = world.site(&record.active);
    let (at, epoch, cause) = (world.now, record.epoch, record.cause);
    let last = world.oracle.agreed.last().map(|it| (it.epoch, it.active));
    if last == Some((epoch, active)) {
        return;
    }
    world.note(format_args!("record: epoch {epoch} of {}, {cause:?}", record.active));
    if !world.oracle.restored && last.is_some_and(|(before, _)| epoch <= before) {
        broken(world, format!("the record goes from {last:?} to {epoch}"));
    }
    // A record that was brought back knows nothing of the epochs since it was copied.
    let known = |it: &&Agreed| last.is_some_and(|(before, _)| it.epoch <= before);
    let automatic = |it: &&Agreed| matches!(it.cause, Cause::Automatic | Cause::Ordered);
    let mut known = world.oracle.agreed.iter().rev().filter(known);
    let failover = known.find(automatic).map(|it| it.at);
    // A clock may run 4 % faster than another, and the record is looked at now and then.
    let soonest = failover.map(|at| at + world.oracle.cool_down * 95 / 100);
    if cause == Cause::Automatic && soonest.is_some_and(|soonest| at < soonest) {
        broken(world, "an automatic failover within the cool-down".to_owned());
    }
    world.oracle.agreed.push(Agreed { at, epoch, active, cause });
}

/// By now another site must have taken over from the one that lost power.
pub fn followed(world: &mut World, lost: usize) {
    let other = 1 - lost;
    if world.leads_to(other) != Some(other) || !world.databases[other].is_open() {
        broken(world, format!("nobody took over from {}", NAMES[lost]));
    }
}

/// What a healthy application must not notice was not noticed.
pub fn unnoticed(world: &mut World) {
    let refused = world.oracle.refused;
    if refused > 0 {
        broken(world, format!("{refused} writes were refused by a healthy application"));
    }
    if world.oracle.agreed.len() != 1 {
        broken(world, "the active site was changed without need".to_owned());
    }
}

/// What was acknowledged and is not in the active site's database, with its time.
pub fn missing(world: &World, active: usize) -> Vec<(Tx, usize, u64)> {
    let data = &world.databases[active].data;
    let lost = world.oracle.acknowledged.iter().filter(|it| !data.contains(&it.tx));
    lost.map(|it| (it.tx, it.site, it.at)).collect()
}

/// When all is well again: what was acknowledged is there, or in a salvage; and where it is only in
/// a salvage, no more than `bound` milliseconds of one site's work were lost at once.
pub fn settle(world: &mut World, active: usize, salvaged: &BTreeSet<Tx>, bound: u64) {
    let missing = missing(world, active);
    if let Some((tx, site, at)) = missing.iter().find(|(tx, ..)| !salvaged.contains(tx)) {
        let name = world.name(*site).clone();
        broken(world, format!("transaction {tx}, acknowledged by {name} at {at}, is gone"));
    }
    let ends: Vec<u64> = world.oracle.agreed.iter().map(|it| it.at).collect();
    for (site, from) in (0..2).flat_map(|site| ends.iter().map(move |end| (site, *end))) {
        let until = ends.iter().find(|end| **end > from).copied().unwrap_or(u64::MAX);
        let lost = missing.iter().filter(|(_, at_site, at)| {
            *at_site == site && *at >= from.saturating_sub(1) && *at < until
        });
        let times: Vec<u64> = lost.map(|(.., at)| *at).collect();
        let span =
            times.iter().max().zip(times.iter().min()).map_or(0, |(last, first)| last - first);
        let ordered =
            world.oracle.agreed.iter().any(|it| it.at == until && it.cause == Cause::Ordered);
        if span > bound && !ordered {
            broken(world, format!("{span} ms of acknowledged work were lost at once"));
        }
    }
}
