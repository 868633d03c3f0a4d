//! A planned move, as its conductor (the site that it leads to) makes it, and the answers of the
//! active site's agent. Any stage can fail or stay where it is; the hold runs out meanwhile.

use super::step::{Step, Way};
use super::view::RPO;
use super::world::{Agent, CauseOf, Change, Execution, Hold, Rec, Stage, Way as WayOf};

const HOLD: u8 = 10;

impl Step<'_> {
    /// A person begins a move to this site: check, and both gates hold.
    pub fn begin(&mut self, to: usize, id: u8) -> bool {
        let Some(record) = self.movable(to) else { return false };
        let hold = Hold { execution: id, epoch: record.epoch, rest: HOLD };
        self.agent(to).hold = Some(hold);
        self.agent(to).execution =
            Some(Execution::Move { id, epoch: record.epoch + 1, stage: Stage::Held });
        self.agent(1 - to).hold = Some(hold);
        true
    }

    fn movable(&self, to: usize) -> Option<Rec> {
        let site = &self.world.sites[to];
        let agent = site.awake()?;
        let record = agent.seen?.record;
        let complete = agent.complete.is_some_and(|age| u64::from(age) <= RPO.as_secs());
        let back = !site.returns(to) || site.kept.way == WayOf::Ready;
        let fits = usize::from(record.active) != to && agent.execution.is_none();
        let there = self.active_in(1 - to, record.epoch);
        (fits && complete && back && there).then_some(record)
    }

    /// Whether that site answers, and holds this epoch as far as it knows.
    fn active_in(&self, site: usize, epoch: u8) -> bool {
        let record = self.world.sites[site].answering().and_then(|agent| agent.seen);
        let record = record.map(|seen| seen.record);
        self.world.sites_reach()
            && record.is_some_and(|it| usize::from(it.active) == site && it.epoch == epoch)
    }

    /// The next stage of the move that is at work, if nothing stands in its way now.
    pub fn stage(&mut self, to: usize, way: Way) -> bool {
        let Some(Execution::Move { id, epoch, stage }) = self.at_work(to) else { return false };
        match stage {
            Stage::Held => self.hand_over(to, id, epoch, way),
            Stage::HandedOver => self.drain(to, id, epoch),
            Stage::Drained => self.take_over(to, id, epoch, way),
        }
    }

    fn at_work(&self, site: usize) -> Option<Execution> {
        self.world.sites[site].awake()?.execution
    }

    /// The active site fences its databases and enters the handover.
    fn hand_over(&mut self, to: usize, id: u8, epoch: u8, way: Way) -> bool {
        let active = 1 - to;
        let holds = self.world.sites[active].answering().and_then(|agent| agent.hold);
        let holds = holds.is_some_and(|hold| hold.execution == id);
        if !holds || !self.active_in(active, epoch - 1) || way == Way::Unheard {
            return false;
        }
        if way == Way::Late && self.world.late.is_some() {
            return false;
        }
        let asked = self.world.sites[active];
        if asked.frozen.is_some_and(|frozen| frozen.databases.is_some()) {
            // What is at work on the databases has its turn first.
            return false;
        }
        if !self.decider.hands_over(active, &asked, epoch - 1) {
            return false;
        }
        self.agent(active).open = None;
        self.fence(active, epoch - 1);
        if !self.world.sites[active].database.open {
            self.world.ghost.ended = Some(id);
        }
        self.send(active, Change::HandOver(id), way);
        let seen = self.agent(active).seen;
        if seen.is_some_and(|seen| seen.record.handover == Some(id)) {
            let stage = Stage::HandedOver;
            self.agent(to).execution = Some(Execution::Move { id, epoch, stage });
        } else {
            self.give_up(to);
        }
        true
    }

    fn drain(&mut self, to: usize, id: u8, epoch: u8) -> bool {
        if !self.world.follows(to) {
            return false;
        }
        self.site(to).received = true;
        self.agent(to).complete = Some(0);
        self.agent(to).execution = Some(Execution::Move { id, epoch, stage: Stage::Drained });
        true
    }

    /// The claim: on a record that holds this move's handover.
    fn take_over(&mut self, to: usize, id: u8, epoch: u8, way: Way) -> bool {
        if !self.world.reaches_witness(to) || (way == Way::Late && self.world.late.is_some()) {
            return false;
        }
        self.read(to);
        let Some(record) = self.agent(to).seen.map(|seen| seen.record) else { return false };
        if record.epoch == epoch && usize::from(record.active) == to {
            self.agent(to).execution = Some(Execution::Promotion { epoch, first: false });
            return true;
        }
        if record.handover != Some(id) || record.epoch + 1 != epoch {
            self.give_up(to);
            return true;
        }
        self.send(to, Change::Claim(CauseOf::Switchover), way);
        let agent = self.agent(to);
        if agent.seen.is_some_and(|seen| usize::from(seen.record.active) == to) {
            agent.execution = Some(Execution::Promotion { epoch, first: false });
        }
        true
    }

    /// The conductor gives up; the active site is told to go on, if it can be reached.
    pub fn give_up(&mut self, to: usize) -> bool {
        let claims = self.site(to).kept.claim.is_some();
        let agent = self.agent(to);
        let Some(Execution::Move { epoch, .. }) = agent.execution else { return false };
        if claims {
            return false;
        }
        (agent.execution, agent.hold) = (None, None);
        if self.active_in(1 - to, epoch - 1) {
            self.resume(1 - to);
        }
        true
    }

    fn resume(&mut self, active: usize) {
        let handed_over =
            |agent: &Agent| agent.seen.is_some_and(|seen| seen.record.handover.is_some());
        if handed_over(self.agent(active)) {
            self.send(active, Change::TakeBack, Way::Prompt);
        }
        self.agent(active).hold = None;
    }
}
