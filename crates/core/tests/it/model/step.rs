//! One step of the model: a world under change, the decision, and what is noted on the way.

use super::view::{Decider, record};
use super::world::{
    Agent, CauseOf, Change, Execution, Fence, OLD, Rec, Request, STALE, Seen, Site, Trouble, World,
};
use mainstay_core::Record;
use mainstay_core::decision::State;
use mainstay_core::record::{Cause, Handover};
use std::collections::BTreeSet;

/// How a request to the coordinator fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// It arrives and is answered, if the coordinator can be reached.
    Prompt,
    /// Its sender gives it up; it may arrive later.
    Late,
    /// It arrives, and the answer is lost.
    Unheard,
}

/// What an exploration saw, beside the states.
#[derive(Default)]
pub struct Notes {
    pub violation: Option<String>,
    pub happened: BTreeSet<&'static str>,
    /// Of the states that an agent shows: from (none: it began) and to.
    pub shown: BTreeSet<(Option<&'static str>, &'static str)>,
}

impl Notes {
    pub fn require(&mut self, holds: bool, invariant: &str) {
        if !holds && self.violation.is_none() {
            self.violation = Some(invariant.to_owned());
        }
    }
}

pub struct Step<'a> {
    pub world: World,
    pub decider: &'a mut Decider,
    pub notes: &'a mut Notes,
}

impl Step<'_> {
    pub fn site(&mut self, site: usize) -> &mut Site {
        &mut self.world.sites[site]
    }

    /// The agent, which must be running.
    pub fn agent(&mut self, site: usize) -> &mut Agent {
        self.world.sites[site].agent.as_mut().expect("a running agent")
    }

    /// The state that is shown changes.
    pub fn show(&mut self, site: usize, state: State) {
        let before = self.agent(site).shown.replace(state);
        if before != Some(state) {
            self.notes.shown.insert((before.map(State::name), state.name()));
        }
    }

    /// A compare-and-set by this site's agent, and what it learns from the answer.
    pub fn send(&mut self, site: usize, change: Change, way: Way) {
        let seen = self.agent(site).seen;
        let request = Request {
            site: u8::from(site == 1),
            change,
            from: seen.map(|seen| seen.record),
            stands: seen.map_or(self.world.coordinator.record.is_none(), |seen| seen.stands),
        };
        if matches!(change, Change::Claim(_)) {
            self.site(site).kept.claim = Some(request.stands);
            self.agent(site).order = None;
        }
        if way == Way::Late {
            self.world.late = Some(request);
            return;
        }
        if !self.world.reaches_witness(site) {
            return;
        }
        let done = self.arrive(request);
        if way == Way::Prompt {
            self.hear(site, change, done);
        }
    }

    fn hear(&mut self, site: usize, change: Change, done: bool) {
        self.read(site);
        let agent = self.agent(site);
        let epoch = agent.seen.map_or(0, |seen| seen.record.epoch);
        match change {
            Change::Renew if done => agent.renewal = Some((epoch, 0)),
            Change::TakeBack if done => agent.hold = None,
            _ => {}
        }
    }

    /// The coordinator makes the change, if nothing came in between and the record allows it.
    pub fn arrive(&mut self, request: Request) -> bool {
        let current = self.world.coordinator.record;
        let next = match (current, request.change) {
            (None, Change::Found) => Some(Record::first(super::view::name(request.site.into()))),
            (None, _) | (Some(_), Change::Found) => None,
            (Some(rec), change) => changed(rec, change, request),
        };
        let Some(next) = next else { return false };
        let next = rec(&next);
        self.world.coordinator.record = Some(next);
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
        self.note_change(current, next, request.change);
        true
    }

    /// This site reads the record, if it can.
    pub fn read(&mut self, site: usize) {
        if !self.world.reaches_witness(site) {
            return;
        }
        let record = self.world.coordinator.record;
        let follows = self.world.follows(site);
        let this = self.site(site);
        let agent = this.agent.as_mut().expect("a running agent");
        agent.empty = record.is_none();
        let Some(record) = record else {
            agent.seen = None;
            return;
        };
        this.kept.highest = this.kept.highest.max(record.epoch);
        this.kept.claim = this.kept.claim.filter(|stands| *stands);
        this.kept.fence = super::fencing::after_reading(this.kept.fence);
        let before = agent.seen;
        if before.is_none_or(|seen| seen.record.epoch != record.epoch) {
            agent.epoch_seen = 0;
            (agent.complete, agent.advanced) = (None, None);
            (agent.own_look, agent.witness_look) = (None, None);
        }
        let changed = before.filter(|seen| seen.stands).map_or(0, |seen| seen.changed);
        if changed == 0 {
            this.received = follows;
        }
        agent.seen = Some(Seen { record, stands: true, changed, read: 0 });
    }

    /// This site's database is opened, unless it has seen a newer epoch or does not answer.
    pub fn open(&mut self, site: usize, epoch: u8) -> bool {
        let this = self.site(site);
        let answers = !this.down && this.trouble != Some(Trouble::Stores);
        if !answers || epoch < this.database.epoch {
            return false;
        }
        (this.database.epoch, this.database.open) = (epoch, true);
        self.agent(site).open = Some(epoch);
        self.note_opened(site);
        true
    }

    /// A site's database is fenced, by whoever reaches it.
    pub fn fence(&mut self, site: usize, epoch: u8) {
        let this = self.site(site);
        let answers = !this.down && this.trouble != Some(Trouble::Stores);
        if answers && epoch >= this.database.epoch {
            (this.database.epoch, this.database.open) = (epoch, false);
        }
    }
}

/// What the record becomes, by core's own functions; none when it is not allowed.
fn changed(rec: Rec, change: Change, request: Request) -> Option<Record> {
    let by = super::view::name(request.site.into());
    let current = record(rec, 7);
    let next = match change {
        Change::Renew => {
            let positions = record(Rec { positions: true, ..rec }, 7).positions;
            current.renewed(positions)
        }
        Change::HandOver(id) => current.handed_over(Some(Handover {
            execution: super::view::move_name(id),
            to: super::view::name(1 - usize::from(rec.active)),
            positions: Default::default(),
        })),
        Change::TakeBack => current.handed_over(None),
        Change::Claim(cause) => current.claimed_by(&by, cause.into()),
        Change::Found => return None,
    };
    // Each agent changes the record in its own name only.
    let own = next.active == by;
    (request.stands && request.from == Some(rec) && own && current.allows(&next).is_ok())
        .then_some(next)
}

fn rec(record: &Record) -> Rec {
    let handover = record.handover.as_ref();
    Rec {
        epoch: u8::try_from(record.epoch.number()).expect("epochs are few"),
        active: u8::from(record.active == super::view::name(1)),
        cause: match record.cause {
            Cause::Initial => CauseOf::Initial,
            Cause::Automatic => CauseOf::Automatic,
            Cause::Ordered => CauseOf::Ordered,
            Cause::Switchover => CauseOf::Switchover,
        },
        positions: !record.positions.is_empty(),
        handover: handover.and_then(|it| it.execution.strip_prefix("move-")?.parse().ok()),
    }
}

/// One step of true time passes.
pub fn pass(world: &mut World) {
    for index in 0..2 {
        note_time(world, index);
        let site = &mut world.sites[index];
        site.acted = false;
        let rate = site.rate;
        site.gate.posture = super::round::aged(site.gate.posture, rate);
        if let Some(frozen) = &mut site.frozen {
            frozen.posture = frozen.posture.map(|it| super::round::aged(it, rate));
        }
        if let Some(agent) = &mut site.agent {
            age(agent, rate);
        }
    }
}

/// Drops what no rule can tell apart, so that states which differ in nothing else are one.
pub fn simplify(world: &mut World) {
    for index in 0..2 {
        if world.follows(index) {
            (world.ghost.complete[index], world.ghost.over[index]) = (0, false);
        }
        let Some(agent) = &mut world.sites[index].agent else { continue };
        let Some(seen) = &mut agent.seen else { continue };
        let failover = matches!(seen.record.cause, CauseOf::Automatic | CauseOf::Ordered);
        if !failover {
            agent.epoch_seen = OLD;
        }
        if usize::from(seen.record.active) == index {
            // The holder of the epoch asks only what the record is, not since when.
            (seen.changed, seen.read) = (0, 0);
        }
        // A start before the last sign of the active site's right adds nothing to the wait.
        let right = agent.promised.map_or(seen.changed, |promised| promised.min(seen.changed));
        if agent.started >= STALE && agent.started >= right {
            agent.started = OLD;
        }
    }
}

fn age(agent: &mut Agent, rate: u8) {
    let older = |age: u8, most: u8| (age + rate).min(most);
    agent.started = older(agent.started, OLD);
    agent.epoch_seen = older(agent.epoch_seen, OLD);
    let look = |look: Option<(bool, u8)>| look.map(|(it, age)| (it, older(age, STALE)));
    (agent.own_look, agent.witness_look) = (look(agent.own_look), look(agent.witness_look));
    // A right that is over is as none.
    let right = |right: Option<(u8, u8)>| {
        right.map(|(of, age)| (of, older(age, STALE))).filter(|(_, age)| *age < STALE)
    };
    (agent.renewal, agent.promise) = (right(agent.renewal), right(agent.promise));
    agent.writable = agent.writable.map(|age| older(age, STALE));
    agent.advanced = agent.advanced.map(|age| older(age, STALE));
    // What counts is by how much the link was complete earlier than the right was last shown. Where
    // both are older than any bound, that difference stays.
    let right = agent.seen.map_or(0, |seen| seen.changed).min(agent.promised.unwrap_or(OLD));
    agent.complete = agent.complete.map(|complete| match (right < OLD, complete < right) {
        (true, _) => older(complete, OLD + STALE),
        (false, true) => older(complete, right),
        (false, false) => complete,
    });
    if let Some(seen) = &mut agent.seen {
        // Which of the two is newer stays known when both are old.
        let promised_later = agent.promised.is_some_and(|promised| promised < seen.changed);
        agent.promised = agent.promised.filter(|_| promised_later);
        seen.changed = older(seen.changed, OLD + u8::from(promised_later));
        seen.read = older(seen.read, STALE);
    }
    agent.promised = agent.promised.map(|age| older(age, OLD));
    if let Some(hold) = &mut agent.hold {
        hold.rest = hold.rest.saturating_sub(rate);
    }
}

/// More than any clock makes of the bound for the lag.
pub const MUCH: u8 = 12;

/// What only the oracle knows.
fn note_time(world: &mut World, site: usize) {
    let rate = world.sites[site].rate;
    let ghost = &mut world.ghost;
    let older = |age: u8| (age + rate).min(OLD);
    if let Some(ages) = &mut ghost.failover {
        ages[site] = older(ages[site]);
    }
    ghost.complete[site] = (ghost.complete[site] + rate).min(MUCH);
}

/// The execution of a promotion, if that is what is at work.
pub fn promotion(agent: &Agent) -> Option<(u8, bool)> {
    match agent.execution {
        Some(Execution::Promotion { epoch, first }) => Some((epoch, first)),
        _ => None,
    }
}
