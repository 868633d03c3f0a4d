//! What must always be true, each in the words of the design. The oracle looks at the world, not at
//! what the decision was told about it.

use super::step::{Step, promotion};
use super::view::{COOL_DOWN, FENCE_AFTER, LEASE, Outcome, RPO};
use super::world::{
    CauseOf, Change, GatePosture, Order, RATE, Rec, STALE, Site, Trouble, Way as WayOf, World,
};
use mainstay_core::decision::State;
use mainstay_core::estate::FailoverMode;

pub const ONE: &str = "1: at most one site accepts writes at any instant";
pub const HOLDER: &str = "2: an epoch has at most one holder";
pub const BACK: &str = "2: an epoch never goes back";
pub const FORGOTTEN: &str = "2: an epoch that a site opens under is remembered there";
pub const LAG: &str = "3: no unforced promotion with the lag over the bound, or unknown";
pub const LINK: &str = "3: no promotion from a link that is not complete";
pub const REACHED: &str = "5: this site and the witness both fail to reach the active one";
pub const WRITING: &str = "5: no failover while changes arrive from the active site";
pub const MODE: &str = "5: a failover that a person has to order does not begin by itself";
pub const COOL: &str = "6: no second automatic failover inside the cool-down";
pub const LEDGER: &str = "7: nothing is begun that cannot be recorded";
pub const TWICE: &str = "7: an execution that is at work is not begun again";
pub const STALE_EPOCH: &str = "7: an effect is made under the newest epoch that the site knows";
pub const APART: &str = "8: a site whose salvage is not kept is never promoted";
pub const FENCED: &str = "8: a site that is not active is fenced";
pub const NOT_PROVED: &str = "10: a site that is not proved equal does not take over by itself";
pub const LAST: &str = "11: the active site is not fenced while its right lasts";
pub const REOPENED: &str = "a planned move loses nothing: the active site ended before the claim";
pub const OPENED: &str = "the gate serves only databases that were found open";
pub const CAN_CLAIM: &str = "11: who fences the active site can take over at once";
pub const SILENT: &str = "5: only a site that does not renew is fenced";
pub const RIGHT: &str = "the databases are open only while the site has the right to write";
pub const GRACE: &str = "an agent that begins anew cuts nothing that its predecessor allowed";
pub const ENDS: &str = "1: a site is active only while its right lasts";
pub const WITNESS: &str = "a witness does nothing";
pub const FOUNDS: &str = "only the home site founds the record, and once";

/// Of every state that is reached.
pub fn violated(world: &World) -> Option<&'static str> {
    (world.accepts(0) && world.accepts(1)).then_some(ONE)
}

impl Step<'_> {
    pub fn note_decision(&mut self, site: usize, outcome: &Outcome) {
        let this = self.world.sites[site];
        let agent = this.agent.expect("a running agent");
        if let Some(ordered) = outcome.claim {
            self.note_claim(site, ordered);
            let waited = agent.seen.map_or(0, |seen| u64::from(seen.changed));
            if waited < LEASE.as_secs() {
                self.notes.happened.insert("sooner");
            }
        }
        if outcome.fence {
            self.note_fence(site);
        }
        let twice = outcome.promote && agent.execution.is_some();
        self.notes.require(!twice, TWICE);
        if let Some((_, epoch)) = outcome.databases {
            self.notes.require(epoch >= this.kept.highest, STALE_EPOCH);
        }
        if matches!(outcome.posture, Some(GatePosture::Serve { .. })) {
            self.notes.require(agent.open.is_some(), OPENED);
        }
        self.notes.require(!outcome.found || agent.empty, FOUNDS);
        let Some(seen) = agent.seen else { return };
        let record = seen.record;
        let right = [agent.renewal, agent.promise].into_iter().flatten();
        let right = right.into_iter().any(|(of, age)| of == record.epoch && age < 4);
        let holds = usize::from(record.active) == site && this.kept.promoted == record.epoch;
        let known = record.epoch == this.kept.highest;
        if holds && known && right && record.handover.is_none() {
            self.notes.require(outcome.state == State::Active, LAST);
        }
        let begun = agent.started < 4;
        let cuts = outcome.databases.is_some_and(|(open, _)| !open);
        let fresh = begun && agent.renewal.is_none() && record.handover.is_none();
        self.notes.require(!(holds && known && fresh && cuts), GRACE);
        let active = outcome.state == State::Active;
        self.notes.require(!active || right || begun, ENDS);
        self.notes.require(self.decider.witness_decides_nothing(record), WITNESS);
    }

    /// A site is stopped only for a claim that would be right but for the wait.
    fn note_fence(&mut self, site: usize) {
        let this = self.world.sites[site];
        let agent = this.agent.expect("a running agent");
        let seen = agent.seen.expect("a record");
        let waits = u64::from(agent.promised.unwrap_or(seen.changed).min(seen.changed));
        let waits = waits.min(agent.started.into());
        self.notes.require(waits >= FENCE_AFTER.as_secs(), SILENT);
        let executes = agent.execution.is_some();
        self.notes.require(seen.read < RATE && !executes, CAN_CLAIM);
        let again = this.kept.fence.is_some_and(|it| it.is_open() || !it.seen_other);
        self.notes.require(!again, TWICE);
        self.note_claim(site, agent.order.is_some());
    }

    fn note_claim(&mut self, site: usize, ordered: bool) {
        let this = self.world.sites[site];
        let agent = this.agent.expect("a running agent");
        let ghost = self.world.ghost;
        if !agent.seen.is_some_and(|seen| seen.stands) {
            // It cannot take effect: the record has changed since.
            return;
        }
        let way = if this.returns(site) { this.kept.way } else { WayOf::Ready };
        self.notes.require(way != WayOf::Apart, APART);
        self.notes.require(this.trouble != Some(Trouble::Ledger), LEDGER);
        self.notes.require(this.trouble != Some(Trouble::LinkStopped), LINK);
        self.notes.require(!ghost.over[site] || agent.order == Some(Order::AcceptLoss), LAG);
        if ordered {
            self.notes.happened.insert("order obeyed");
            return;
        }
        self.notes.require(way == WayOf::Ready, NOT_PROVED);
        self.notes.require(self.decider.mode() == FailoverMode::Automatic, MODE);
        self.notes.require(!self.world.brings(site), WRITING);
        let failed =
            |look: Option<(bool, u8)>| look.is_some_and(|(reached, age)| !reached && age < STALE);
        let looks = failed(agent.own_look) && failed(agent.witness_look);
        self.notes.require(looks, REACHED);
    }

    /// The coordinator has changed the record.
    pub fn note_change(&mut self, before: Option<Rec>, next: Rec, change: Change) {
        let ghost = &mut self.world.ghost;
        let renews = !matches!(change, Change::Claim(_));
        for (site, over) in ghost.over.iter_mut().enumerate() {
            let rate = u64::from(self.world.sites[site].rate);
            let behind = u64::from(ghost.complete[site]);
            // A look at the link, and the read of the record, may each be a step old.
            *over |= renews && behind > RPO.as_secs() + 2 * rate;
        }
        let back = before.is_some_and(|before| next.epoch < before.epoch);
        let holder = &mut ghost.holders[usize::from(next.epoch.min(4)) - 1];
        let other = holder.is_some_and(|holder| holder != next.active);
        let founded = change == Change::Found && (holder.is_some() || next.active != 0);
        *holder = Some(next.active);
        let (ended, failover) = (ghost.ended, ghost.failover);
        if before.is_none_or(|before| before.epoch != next.epoch) {
            ghost.failover =
                matches!(next.cause, CauseOf::Automatic | CauseOf::Ordered).then_some([0; 2]);
            ghost.ended = None;
        }
        self.notes.require(!back, BACK);
        // After a restore the same number is given again; who has seen it refuses the copy.
        self.notes.require(!other || self.world.ghost.restored, HOLDER);
        self.notes.require(!founded, FOUNDS);
        if change == Change::Claim(CauseOf::Automatic) {
            let age = failover.map(|ages| u64::from(ages[usize::from(next.active)]));
            self.notes.require(age.is_none_or(|age| age >= COOL_DOWN.as_secs()), COOL);
        }
        let stores = |site: &Site| site.trouble == Some(Trouble::Stores);
        let renewing = before.is_some_and(|it| stores(&self.world.sites[usize::from(it.active)]));
        if change == Change::Claim(CauseOf::Automatic) && renewing {
            self.notes.happened.insert("stores were followed");
        }
        let kind = match change {
            Change::Claim(CauseOf::Switchover) => {
                let handover = before.and_then(|before| before.handover);
                self.notes.require(handover.is_some() && handover == ended, REOPENED);
                "switchover"
            }
            Change::Claim(CauseOf::Ordered) => "ordered failover",
            Change::Claim(_) => "automatic failover",
            Change::TakeBack => "taken back",
            Change::HandOver(_) => "handed over",
            Change::Renew => "renewed",
            Change::Found => "founded",
        };
        self.notes.happened.insert(kind);
    }

    pub fn note_opened(&mut self, site: usize) {
        let world = &mut self.world;
        let (kept, database) = (world.sites[site].kept, world.sites[site].database);
        self.notes.require(kept.highest >= database.epoch, FORGOTTEN);
        if world.coordinator.record.is_some_and(|record| usize::from(record.active) == site) {
            world.ghost.ended = None;
        }
    }

    /// After a whole round of an agent.
    pub fn note_round(&mut self, site: usize) {
        let this = self.world.sites[site];
        let agent = this.agent.expect("a running agent");
        let Some(seen) = agent.seen else { return };
        let answers = !this.down && this.trouble != Some(Trouble::Stores);
        if !answers || agent.execution.is_some() {
            return;
        }
        let active = usize::from(seen.record.active) == site;
        self.notes.require(active || !this.database.open, FENCED);
        let closed =
            matches!(agent.shown, Some(State::Fenced | State::HandingOver | State::Regressed));
        self.notes.require(!closed || !this.database.open, RIGHT);
        if self.world.accepts(site) && promotion(&agent).is_none() {
            let epochs = [this.gate.epoch, this.database.epoch, seen.record.epoch];
            let newest = epochs.iter().all(|epoch| *epoch == this.kept.highest);
            self.notes.require(newest, STALE_EPOCH);
        }
    }
}
