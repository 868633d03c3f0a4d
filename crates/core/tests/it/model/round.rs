//! One round of an agent: end what was at work, read, look, decide, do. As in the agent, what an
//! effect teaches is decided on at once.

use super::step::{Step, Way, promotion};
use super::view::Outcome;
use super::world::{
    Age, CauseOf, Change, Execution, Fence, Frozen, GatePosture, Site, Trouble, Way as WayOf,
};
use mainstay_core::record::Cause;

/// A posture after so many seconds: what has run out is closed, by the gate's own clock.
pub fn aged(posture: GatePosture, rate: Age) -> GatePosture {
    let rest = |rest: Age| rest.checked_sub(rate);
    match posture {
        GatePosture::Serve { rest: left } => {
            rest(left).map_or(GatePosture::Closed, |rest| GatePosture::Serve { rest })
        }
        GatePosture::Hold { rest: left } => {
            rest(left).map_or(GatePosture::Closed, |rest| GatePosture::Hold { rest })
        }
        GatePosture::Forward | GatePosture::Closed => posture,
    }
}

impl Step<'_> {
    /// False when nothing was sent that could fare as asked.
    pub fn round(&mut self, site: usize, mut way: Way) -> bool {
        self.finish(site);
        self.read(site);
        self.look(site);
        let asked = way;
        for _ in 0..4 {
            let before = self.world;
            let outcome = self.decide(site);
            let sent = self.make(site, &outcome, &mut way);
            if sent && asked != Way::Prompt {
                break;
            }
            if self.world == before {
                break;
            }
        }
        self.site(site).acted = true;
        self.note_round(site);
        asked == Way::Prompt || way == Way::Prompt
    }

    /// Decides, and stops before anything of it is done.
    pub fn round_frozen(&mut self, site: usize) {
        self.finish(site);
        self.read(site);
        self.look(site);
        let outcome = self.decide(site);
        let seen = self.agent(site).seen;
        let this = self.world.sites[site];
        self.site(site).frozen = Some(Frozen {
            stirs: false,
            posture: outcome.posture,
            databases: outcome.databases.filter(|wanted| !is_done(&this, *wanted)),
            change: change(&outcome),
            from: seen.map(|seen| seen.record),
            promote: outcome.promote,
        });
        self.site(site).acted = true;
    }

    /// The agent goes on: first with what it had decided, then with a decision on what it knew.
    pub fn wake(&mut self, site: usize) {
        let Some(frozen) = self.site(site).frozen.take() else { return };
        self.posture(site, frozen.posture);
        self.databases(site, frozen.databases);
        if frozen.promote {
            self.promote(site);
        }
        // A claim is decided again as it is begun, right here below.
        if let Some(change) = frozen.change.filter(|it| !matches!(it, Change::Claim(_))) {
            self.send(site, change, Way::Prompt);
        }
        let outcome = self.decide(site);
        self.make(site, &outcome, &mut Way::Prompt.clone());
        self.site(site).acted = false;
    }

    fn decide(&mut self, site: usize) -> Outcome {
        let outcome = self.decider.decide(site, &self.world.sites[site]);
        self.show(site, outcome.state);
        self.note_decision(site, &outcome);
        outcome
    }

    /// What the agent learns by looking around.
    fn look(&mut self, site: usize) {
        let other = 1 - site;
        let world = self.world;
        let answers = world.answers(other);
        let this = self.site(site);
        let agent = this.agent.as_mut().expect("a running agent");
        let database_answers = !this.down && this.trouble != Some(Trouble::Stores);
        if database_answers {
            agent.writable = Some(0);
            agent.open = agent.open.filter(|_| this.database.open);
        }
        let handed_over = agent.seen.is_some_and(|seen| seen.record.handover.is_some());
        if agent.hold.is_some_and(|hold| hold.rest == 0) && !handed_over {
            agent.hold = None;
        }
        let Some(seen) = agent.seen else { return };
        if usize::from(seen.record.active) == site {
            (agent.own_look, agent.witness_look) = (None, None);
            (agent.complete, agent.advanced, this.received) = (None, None, false);
            return;
        }
        if this.trouble != Some(Trouble::Blind) {
            agent.own_look = Some((world.sites_reach() && answers, 0));
        }
        if world.reaches_witness(site) {
            agent.witness_look = Some((!world.cuts[other] && answers, 0));
        }
        if this.kept.promoted > 0 && this.kept.back != seen.record.epoch {
            (this.kept.back, this.kept.way) = (seen.record.epoch, WayOf::Apart);
        }
        let apart = this.kept.promoted > 0 && this.kept.way == WayOf::Apart;
        if !apart && world.brings(site) {
            agent.advanced = Some(0);
        }
        if !apart && world.follows(site) {
            (agent.complete, this.received) = (Some(0), true);
        }
    }

    fn make(&mut self, site: usize, outcome: &Outcome, way: &mut Way) -> bool {
        self.posture(site, outcome.posture);
        self.databases(site, outcome.databases);
        if outcome.promote {
            self.promote(site);
        }
        let sent = change(outcome).is_some_and(|change| self.send_as(site, change, way));
        if outcome.fence {
            self.fence_outside(site);
        }
        // A step of time is as long as two renewals: promises are asked for when the one of this
        // round was not answered.
        let renewed = self.agent(site).renewal.is_some_and(|(_, age)| age == 0);
        if outcome.ask && !renewed {
            self.ask(site);
        }
        sent
    }

    fn send_as(&mut self, site: usize, change: Change, way: &mut Way) -> bool {
        if *way != Way::Prompt {
            if *way == Way::Late && self.world.late.is_some() {
                return false;
            }
            self.world.budget.late -= 1;
        }
        let fares = std::mem::replace(way, Way::Prompt);
        self.send(site, change, fares);
        true
    }

    fn posture(&mut self, site: usize, posture: Option<GatePosture>) {
        let this = self.site(site);
        let seen = this.agent.and_then(|agent| agent.seen);
        let (Some(posture), Some(seen)) = (posture, seen) else { return };
        let epoch = seen.record.epoch.max(this.kept.highest);
        if !this.down && this.gate.epoch <= epoch {
            (this.gate.epoch, this.gate.posture) = (epoch, posture);
        }
    }

    fn databases(&mut self, site: usize, wanted: Option<(bool, u8)>) {
        match wanted {
            Some((true, epoch)) => {
                self.open(site, epoch);
            }
            Some((false, epoch)) => {
                self.agent(site).open = None;
                self.fence(site, epoch);
            }
            None => {}
        }
    }

    /// Asks the other site not to act; it answers only when it runs.
    fn ask(&mut self, site: usize) {
        let other = 1 - site;
        let Some(seen) = self.agent(site).seen else { return };
        let asked = self.world.sites[other];
        if !self.world.sites_reach() || asked.answering().is_none() {
            return;
        }
        let kept = &mut self.site(other).kept;
        kept.highest = kept.highest.max(seen.record.epoch);
        let asked = self.world.sites[other];
        if self.decider.promises(other, &asked, seen.record.epoch) {
            self.agent(other).promised = Some(0);
            let fence = &mut self.site(other).kept.fence;
            *fence = fence.map(|it| Fence { promised: true, ..it });
            self.agent(site).promise = Some((seen.record.epoch, 0));
            self.notes.happened.insert("promise");
        }
    }

    /// A promotion begins; it ends with the next round, whatever came in between.
    fn promote(&mut self, site: usize) {
        let agent = self.agent(site);
        let Some(seen) = agent.seen else { return };
        let first = Cause::from(seen.record.cause) == Cause::Initial;
        if agent.execution.is_none() && usize::from(seen.record.active) == site {
            agent.execution = Some(Execution::Promotion { epoch: seen.record.epoch, first });
        }
    }

    fn finish(&mut self, site: usize) {
        let Some((epoch, first)) = promotion(self.agent(site)) else { return };
        if !first {
            if self.world.sites_reach() {
                self.fence(1 - site, epoch);
            }
            let superseded = self.site(site).kept.highest > epoch;
            if !superseded && !self.open(site, epoch) {
                return;
            }
            self.notes.happened.insert("promotion");
        }
        self.agent(site).execution = None;
        let kept = &mut self.site(site).kept;
        kept.promoted = kept.promoted.max(epoch);
    }
}

/// As far as the agent knows, and so nothing is begun.
fn is_done(site: &Site, (open, epoch): (bool, u8)) -> bool {
    let known = site.agent.and_then(|agent| agent.open);
    if open { known == Some(epoch) } else { known.is_none() && !site.database.open }
}

/// The one change of the record that the decision asks for.
fn change(outcome: &Outcome) -> Option<Change> {
    let cause = |ordered| if ordered { CauseOf::Ordered } else { CauseOf::Automatic };
    match outcome {
        Outcome { claim: Some(ordered), .. } => Some(Change::Claim(cause(*ordered))),
        Outcome { take_back: true, .. } => Some(Change::TakeBack),
        Outcome { renew: true, .. } => Some(Change::Renew),
        Outcome { found: true, .. } => Some(Change::Found),
        _ => None,
    }
}
