//! What must come about: played on from each state that an exploration reaches.

use super::moves::Move;
use super::step::{Notes, Step, Way};
use super::view::Decider;
use super::world::{Agent, EAST, Execution, RATE, WEST, World};

pub const HEALS: &str = "when everything is well again, one site serves";
pub const FOLLOWS: &str = "4: no step of an unplanned failover needs the failed site";
pub const GOES_ON: &str =
    "5: the active site goes on without its standby, the witness or the coordinator";

/// A lease and its margin on the slowest clock, a cool-down, and the steps of a promotion.
const LONG: usize = 24;

/// Every fault ends: then, within a bounded time, exactly one site accepts writes.
pub fn heals(world: &World, decider: &mut Decider) -> Option<&'static str> {
    let mut well = *world;
    well.cuts = [false; 3];
    well.coordinator.down = false;
    well.late = None;
    for site in &mut well.sites {
        (site.down, site.trouble) = (false, None);
        site.agent = site.agent.or(Some(Agent::default()));
    }
    let one = |world: &World| world.accepts(EAST) != world.accepts(WEST);
    (!play(&well, decider, one)).then_some(HEALS)
}

/// The active site dies for good, all else is well: the other one follows.
pub fn follows(world: &World, decider: &mut Decider) -> Option<&'static str> {
    let record = world.coordinator.record?;
    let (active, standby) = (usize::from(record.active), 1 - usize::from(record.active));
    let there = world.sites[standby];
    let knows = there.agent.is_some_and(|agent| {
        agent.complete == Some(0)
            && agent.seen.is_some_and(|seen| seen.record.epoch == record.epoch)
    });
    let usual = world.sites.iter().all(|site| site.rate == RATE && site.trouble.is_none());
    let well = world.cuts == [false; 3] && !world.coordinator.down && usual;
    if !well || !knows || there.frozen.is_some() || there.returns(standby) {
        return None;
    }
    let mut world = *world;
    world.late = None;
    world.budget.crashes = 1;
    let gone = &mut world.sites[active];
    (gone.agent, gone.frozen, gone.down, gone.database.open) = (None, None, true, false);
    let follows = |world: &World| world.accepts(EAST) || world.accepts(WEST);
    (!play(&world, decider, follows)).then_some(FOLLOWS)
}

/// For families in which nothing befalls the active site itself.
pub fn goes_on(world: &World, _: &mut Decider) -> Option<&'static str> {
    (!world.accepts(EAST)).then_some(GOES_ON)
}

/// Nothing more happens: every agent acts in every step, and a planned move that is under way is
/// given up.
fn play(world: &World, decider: &mut Decider, until: fn(&World) -> bool) -> bool {
    let mut notes = Notes::default();
    let mut step = Step { world: *world, decider, notes: &mut notes };
    for _ in 0..LONG {
        if until(&step.world) {
            return true;
        }
        for site in [EAST, WEST] {
            step.make_move(Move::Wake(site));
            step.make_move(Move::FenceEnds(site));
            step.make_move(Move::Round(site, Way::Prompt));
            if moves(&step.world, site) && !step.make_move(Move::GiveUp(site)) {
                step.make_move(Move::Stage(site, Way::Prompt));
            }
        }
        step.make_move(Move::Time);
    }
    until(&step.world)
}

fn moves(world: &World, site: usize) -> bool {
    let execution = world.sites[site].agent.and_then(|agent| agent.execution);
    matches!(execution, Some(Execution::Move { .. }))
}
