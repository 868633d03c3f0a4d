//! What can happen next: rounds of the agents, steps of time, and what the budget still allows.

use super::budget::{Budget, Only};
use super::step::{Step, Way, pass, simplify};
use super::world::{
    Agent, BETWEEN, EAST, Fence, GatePosture, Order, RATE, Rec, Trouble, WEST, Way as WayOf, World,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// True time passes, once every agent that can has acted.
    Time,
    Round(usize, Way),
    /// A round whose effects wait until the agent goes on.
    Freeze(usize),
    /// The agent goes on, and answers the others before its effects are made.
    Stir(usize),
    Wake(usize),
    /// The late request arrives, or never does.
    Arrive,
    Lose,
    Cut(usize),
    Heal(usize),
    AgentDies(usize),
    SiteDies(usize),
    WitnessDies,
    WitnessStarts,
    Start(usize),
    Clock(usize, u8),
    Breaks(usize, Trouble),
    Mends(usize),
    Order(usize, Order),
    OrderEnds(usize),
    /// The other site is stopped from outside, and seen to be.
    Stops(usize),
    /// Who fenced learns how that ended.
    FenceEnds(usize),
    Begin(usize),
    Stage(usize, Way),
    GiveUp(usize),
    /// The way back gets a phase further.
    WayOn(usize),
    Copy,
    Restore,
    /// The coordinator's store is gone, with no copy of it.
    Empty,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Stores,
    Trouble::Ledger,
    Trouble::Blind,
    Trouble::LinkStopped,
    Trouble::LinkBehind,
    Trouble::Job,
];

/// Everything that might be possible now; `make` says whether it is.
pub fn candidates(world: &World) -> Vec<Move> {
    let budget = world.budget;
    let mut moves = vec![Move::Time];
    for site in [EAST, WEST] {
        moves.extend([Move::Round(site, Way::Prompt), Move::Wake(site), Move::Stir(site)]);
        moves.push(Move::Start(site));
        moves.extend([Move::WayOn(site), Move::Mends(site), Move::OrderEnds(site)]);
        moves.extend([Move::Stops(site), Move::FenceEnds(site)]);
        moves.extend([Move::Stage(site, Way::Prompt), Move::GiveUp(site)]);
        if budget.late > 0 {
            let ways = [Way::Late, Way::Unheard];
            moves.extend(ways.map(|way| Move::Round(site, way)));
            moves.extend(ways.map(|way| Move::Stage(site, way)));
        }
        site_faults(world, site, &mut moves);
    }
    moves.extend([Move::Arrive, Move::Lose, Move::WitnessStarts]);
    moves.extend((0..3).map(Move::Heal));
    if budget.cuts > 0 {
        moves.extend((0..3).map(Move::Cut));
    }
    if budget.crashes > 0 {
        moves.push(Move::WitnessDies);
    }
    if budget.restores > 0 {
        moves.extend([Move::Copy, Move::Restore, Move::Empty]);
    }
    moves
}

fn site_faults(world: &World, site: usize, moves: &mut Vec<Move>) {
    let budget = world.budget;
    if budget.crashes > 0 {
        moves.extend([Move::AgentDies(site), Move::SiteDies(site)]);
    }
    if budget.pauses > 0 {
        moves.push(Move::Freeze(site));
    }
    if budget.clocks > 0 {
        let rates: &[u8] = if budget.beyond { &[RATE * 6] } else { &[RATE / 2, RATE * 2] };
        moves.extend(rates.iter().map(|rate| Move::Clock(site, *rate)));
    }
    if budget.troubles > 0 {
        moves.extend(TROUBLES.map(|trouble| Move::Breaks(site, trouble)));
    }
    if budget.orders > 0 {
        moves.extend([Order::Plain, Order::AcceptLoss].map(|order| Move::Order(site, order)));
    }
    if budget.moves > 0 {
        moves.push(Move::Begin(site));
    }
}

fn permitted(only: Option<Only>, it: Move) -> bool {
    let Some(only) = only else { return true };
    match (only, it) {
        (Only::Between, Move::Cut(pair)) => pair == BETWEEN,
        (Only::Witness, Move::Cut(pair)) => pair != BETWEEN,
        (Only::Standby, Move::Cut(pair)) => pair != EAST,
        (Only::Witness, Move::AgentDies(_) | Move::SiteDies(_))
        | (Only::Standby, Move::WitnessDies) => false,
        (Only::Standby, Move::AgentDies(site) | Move::SiteDies(site)) => site == WEST,
        (Only::Between, Move::AgentDies(_) | Move::SiteDies(_) | Move::WitnessDies) => false,
        _ => true,
    }
}

impl Step<'_> {
    /// Makes the move; false when it is not possible here.
    pub fn make_move(&mut self, it: Move) -> bool {
        if !permitted(self.world.budget.only, it) {
            return false;
        }
        let made = self.make_permitted(it);
        simplify(&mut self.world);
        made
    }

    fn make_permitted(&mut self, it: Move) -> bool {
        match it {
            Move::Time => self.time(),
            Move::Round(site, way) => {
                self.may_act(site) && !self.world.sites[site].acted && self.round(site, way)
            }
            Move::Freeze(site) => {
                let may = self.may_act(site) && !self.world.sites[site].acted;
                may && self.spend(|budget| &mut budget.pauses) && {
                    self.round_frozen(site);
                    true
                }
            }
            Move::Stir(site) => {
                let frozen = self.world.sites[site].frozen.as_mut();
                frozen.is_some_and(|frozen| !std::mem::replace(&mut frozen.stirs, true))
            }
            Move::Wake(site) => {
                self.world.sites[site].frozen.is_some() && {
                    self.wake(site);
                    true
                }
            }
            Move::Arrive => self.late_arrives(),
            Move::Lose => self.world.late.take().is_some(),
            Move::Begin(site) => {
                let id = self.world.budget.moves;
                self.begin(site, id) && self.spend(|budget| &mut budget.moves)
            }
            Move::Stage(site, way) => self.stage_as(site, way),
            Move::GiveUp(site) => self.may_act(site) && self.give_up(site),
            Move::Stops(site) => self.stops(site),
            Move::FenceEnds(site) => self.fence_ends(site),
            Move::Copy => self.copy(),
            Move::Restore => {
                let copy = self.world.coordinator.copy;
                copy.is_some() && self.restore(copy)
            }
            Move::Empty => self.restore(None),
            // Between two steps of time; the order of rounds within one is free.
            _ => !self.world.sites.iter().any(|site| site.acted) && self.fault(it),
        }
    }

    pub fn may_act(&self, site: usize) -> bool {
        self.world.sites[site].awake().is_some()
    }

    pub fn spend(&mut self, which: impl Fn(&mut Budget) -> &mut u8) -> bool {
        let left = which(&mut self.world.budget);
        let spent = left.checked_sub(1);
        *left = spent.unwrap_or(0);
        spent.is_some()
    }

    fn time(&mut self) -> bool {
        let all = (0..2).all(|site| !self.may_act(site) || self.world.sites[site].acted);
        all && {
            pass(&mut self.world);
            true
        }
    }

    fn stage_as(&mut self, site: usize, way: Way) -> bool {
        let before = self.world.budget.late;
        if way != Way::Prompt && before == 0 {
            return false;
        }
        let made = self.may_act(site) && self.stage(site, way);
        if way != Way::Prompt {
            self.world.budget.late = before - 1;
        }
        // Otherwise the stage sent nothing, and it is no other move than the prompt one.
        let mattered = way != Way::Late || self.world.late.is_some();
        made && mattered
    }

    fn late_arrives(&mut self) -> bool {
        let Some(late) = self.world.late else { return false };
        let site = usize::from(late.site);
        if self.world.cuts[site] || self.world.coordinator.down {
            return false;
        }
        self.world.late = None;
        if self.arrive(late) {
            self.notes.happened.insert("a late request took effect");
        }
        true
    }

    fn fault(&mut self, it: Move) -> bool {
        let world = &mut self.world;
        match it {
            Move::Cut(pair) => {
                !std::mem::replace(&mut world.cuts[pair], true)
                    && self.spend(|budget| &mut budget.cuts)
            }
            Move::Heal(pair) => std::mem::replace(&mut world.cuts[pair], false),
            Move::WitnessDies => {
                !std::mem::replace(&mut world.coordinator.down, true)
                    && self.spend(|budget| &mut budget.crashes)
            }
            Move::WitnessStarts => std::mem::replace(&mut world.coordinator.down, false),
            Move::AgentDies(site) => {
                world.sites[site].frozen = None;
                world.sites[site].agent.take().is_some() && self.spend(|budget| &mut budget.crashes)
            }
            Move::SiteDies(site) => self.site_dies(site),
            Move::Start(site) => self.start(site),
            Move::Clock(site, rate) => {
                world.sites[site].rate = rate;
                self.spend(|budget| &mut budget.clocks)
            }
            Move::Breaks(site, trouble) => {
                world.sites[site].trouble.replace(trouble).is_none()
                    && self.spend(|budget| &mut budget.troubles)
            }
            Move::Mends(site) => world.sites[site].trouble.take().is_some(),
            Move::Order(site, order) => self.order(site, order),
            Move::OrderEnds(site) => self.may_act(site) && self.agent(site).order.take().is_some(),
            Move::WayOn(site) => self.way_on(site),
            _ => false,
        }
    }

    /// The database is fenced when it comes back: an opened one was opened for one run.
    fn site_dies(&mut self, site: usize) -> bool {
        self.stop_site(site) && self.spend(|budget| &mut budget.crashes)
    }

    /// False when it was stopped already.
    pub fn stop_site(&mut self, site: usize) -> bool {
        let this = self.site(site);
        (this.agent, this.frozen) = (None, None);
        this.gate.posture = GatePosture::Closed;
        this.database.open = false;
        !std::mem::replace(&mut this.down, true)
    }

    /// An agent that begins anew remembers what was kept, and nothing else.
    fn start(&mut self, site: usize) -> bool {
        let this = self.site(site);
        if this.agent.is_some() {
            return false;
        }
        this.down = false;
        this.kept.fence = super::fencing::after_a_crash(this.kept.fence);
        this.agent = Some(Agent::default());
        this.acted = false;
        true
    }

    fn order(&mut self, site: usize, order: Order) -> bool {
        let Some(agent) = self.world.sites[site].awake() else { return false };
        let standby = agent.seen.is_some_and(|seen| usize::from(seen.record.active) != site);
        if !standby || agent.order.is_some() || !self.spend(|budget| &mut budget.orders) {
            return false;
        }
        self.agent(site).order = Some(order);
        true
    }

    fn way_on(&mut self, site: usize) -> bool {
        let this = &self.world.sites[site];
        let seen = this.awake().and_then(|agent| agent.seen);
        let Some(seen) = seen.filter(|_| this.returns(site)) else { return false };
        let goes =
            self.world.follows(site) && this.kept.back == seen.record.epoch && !this.database.open;
        let next = match this.kept.way {
            WayOf::Apart => WayOf::NotProved,
            WayOf::NotProved => WayOf::Ready,
            WayOf::Ready => return false,
        };
        if goes {
            self.site(site).kept.way = next;
        }
        goes
    }

    /// A copy of the coordinator's store is made once.
    fn copy(&mut self) -> bool {
        let coordinator = &mut self.world.coordinator;
        let first = coordinator.copy.is_none() && coordinator.record.is_some();
        coordinator.copy = coordinator.record;
        first
    }

    /// An older record is brought back, or none, as the page MS-COORD-003 says: the coordinator was
    /// stopped for longer than a lease, so nobody serves by a renewal.
    fn restore(&mut self, copy: Option<Rec>) -> bool {
        let serves = |site: usize| {
            let agent = self.world.sites[site].agent;
            self.world.accepts(site) && agent.is_none_or(|agent| agent.promise.is_none())
        };
        let mut agents = self.world.sites.iter().filter_map(|site| site.agent);
        let renewed = agents.any(|agent| agent.renewal.is_some());
        if !self.world.coordinator.down || renewed || (0..2).any(serves) {
            return false;
        }
        let none = copy.is_none();
        if self.world.coordinator.record.is_none()
            || (none && self.world.coordinator.copy.is_some())
        {
            return false;
        }
        self.world.coordinator.record = copy;
        self.world.ghost.restored = true;
        self.notes.happened.insert(if none { "the record is gone" } else { "an old copy is back" });
        for site in &mut self.world.sites {
            site.kept.claim = site.kept.claim.map(|_| false);
            site.kept.fence = site.kept.fence.map(|it| Fence { stands: false, ..it });
            if let Some(seen) = site.agent.as_mut().and_then(|agent| agent.seen.as_mut()) {
                seen.stands = false;
            }
        }
        if let Some(late) = &mut self.world.late {
            late.stands = false;
        }
        self.spend(|budget| &mut budget.restores)
    }
}
