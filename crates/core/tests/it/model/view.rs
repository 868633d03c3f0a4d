//! What a site of the model knows, put to the shipped decision. One view is decided once: the
//! decision is a pure function, so remembering it changes nothing.

use super::explore::Wide;
use super::world::{Age, Agent, Fence, FencePhase, GatePosture, Kept, Order, Rec, Site, Trouble};
use mainstay_core::decision::{
    Action, Databases, Facts, FenceOutcome, Fencing, Hold, LinkFacts, Order as CoreOrder,
    Outweighs, Promise, Renewal, Rules, SeenRecord, State, decide, may_hand_over, may_promise,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::position::Lsn;
use mainstay_core::record::Handover;
use mainstay_core::verdict::Evidence;
use mainstay_core::{Epoch, Position, Posture, Record, SiteName, StoreName, Tick, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::time::Duration;

/// Of this site's clock, at every decision. Only differences to it count.
const NOW: Tick = Tick::from_millis(1_000_000);
pub const LEASE: Duration = Duration::from_secs(10);
pub const RPO: Duration = Duration::from_secs(3);
/// Sooner than can be configured: while the stopped site would still have its right.
pub const FENCE_AFTER: Duration = Duration::from_secs(2);
pub const COOL_DOWN: Duration = Duration::from_secs(14);

pub fn name(site: usize) -> SiteName {
    SiteName::new(["east", "west", "witness"][site]).expect("a name")
}

fn store() -> StoreName {
    StoreName::new("db").expect("a name")
}

fn ago(age: Age) -> Tick {
    Tick::from_millis(NOW.millis() - u64::from(age) * 1000)
}

fn ahead(rest: Age) -> Tick {
    NOW.plus(Duration::from_secs(rest.into()))
}

fn epoch(number: u8) -> Epoch {
    Epoch::new(number.into())
}

fn number(epoch: Epoch) -> u8 {
    u8::try_from(epoch.number()).expect("epochs are few")
}

/// The record as core writes it. Only whether two renewals are the same matters, and the model
/// knows that; a number stands for each.
pub fn record(rec: Rec, renewal: u64) -> Record {
    let mut record = Record::first(name(rec.active.into()));
    if rec.epoch > 1 {
        record.epoch = epoch(rec.epoch);
        record.former = Some(name(1 - usize::from(rec.active)));
    }
    record.cause = rec.cause.into();
    record.renewal = renewal;
    if rec.positions {
        record.positions = BTreeMap::from([(store(), Position::Postgres(Lsn(1)))]);
    }
    record.handover = rec.handover.map(|id| Handover {
        execution: move_name(id),
        to: name(1 - usize::from(rec.active)),
        positions: BTreeMap::new(),
    });
    record
}

pub fn move_name(id: u8) -> String {
    format!("move-{id}")
}

/// All that a decision at one site depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct View {
    site: u8,
    kept: Kept,
    received: bool,
    trouble: Option<Trouble>,
    agent: Agent,
}

/// A decision, as the model needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub state: State,
    pub posture: Option<GatePosture>,
    /// Whether open, and in which epoch.
    pub databases: Option<(bool, u8)>,
    pub found: bool,
    pub renew: bool,
    pub ask: bool,
    pub take_back: bool,
    /// Whether ordered.
    pub claim: Option<bool>,
    pub promote: bool,
    /// The other site is to be fenced from outside.
    pub fence: bool,
}

pub struct Decider {
    rules: Rules,
    decided: HashMap<View, Outcome, BuildHasherDefault<Wide>>,
    /// Whether the witness does nothing with this record.
    witnessed: HashMap<Rec, bool>,
}

impl Decider {
    pub fn new(mode: FailoverMode) -> Self {
        let rules = Rules {
            lease: Lease::new(LEASE),
            mode,
            rpo: RPO,
            cool_down: COOL_DOWN,
            witnesses: [name(2)].into(),
            data_sites: [name(0), name(1)].into(),
            stores: [store()].into(),
            fenced_from_outside: BTreeSet::new(),
            fence_after: FENCE_AFTER,
        };
        Self { rules, decided: HashMap::default(), witnessed: HashMap::new() }
    }

    /// Each site can be stopped by the other.
    pub fn with_means(&mut self) {
        self.rules.fenced_from_outside = self.rules.data_sites.clone();
    }

    pub fn views(&self) -> usize {
        self.decided.len()
    }

    pub fn mode(&self) -> FailoverMode {
        self.rules.mode
    }

    /// The agent of this site must be running.
    pub fn decide(&mut self, index: usize, site: &Site) -> Outcome {
        let agent = Agent { shown: None, ..site.agent.expect("a running agent") };
        let view = View {
            site: u8::from(index == 1),
            kept: Kept {
                claim: site.kept.claim.map(|_| true),
                fence: site.kept.fence.map(|it| Fence { stands: true, ..it }),
                ..site.kept
            },
            received: site.received,
            trouble: site.trouble,
            agent,
        };
        let rules = &self.rules;
        *self.decided.entry(view).or_insert_with(|| {
            let facts = facts(index, site, &agent);
            outcome(decide(rules, &facts, NOW))
        })
    }

    /// Whether the agent of this site fences it for a planned move.
    pub fn hands_over(&self, index: usize, site: &Site, ends: u8) -> bool {
        let agent = site.agent.expect("a running agent");
        may_hand_over(&facts(index, site, &agent), epoch(ends))
    }

    /// Whether the agent of this site promises the other one not to act.
    pub fn promises(&self, index: usize, site: &Site, asked_in: u8) -> bool {
        let agent = site.agent.expect("a running agent");
        may_promise(&facts(index, site, &agent), &name(1 - index), epoch(asked_in))
    }

    /// What the witness's agent decides that sees this record; it must be nothing at all.
    pub fn witness_decides_nothing(&mut self, rec: Rec) -> bool {
        let rules = &self.rules;
        *self.witnessed.entry(rec).or_insert_with(|| witness_decides_nothing(rules, rec))
    }
}

fn witness_decides_nothing(rules: &Rules, rec: Rec) -> bool {
    let mut facts = Facts::new(name(2), Tick::default());
    facts.witness = true;
    facts.highest = epoch(rec.epoch);
    facts.record = Some(SeenRecord { record: record(rec, 0), changed: ago(15), read: NOW });
    let decision = decide(rules, &facts, NOW);
    decision.state == State::Witness
        && decision.posture.is_none()
        && decision.databases == Databases::Leave
        && decision.actions.is_empty()
}

fn facts(index: usize, site: &Site, agent: &Agent) -> Facts {
    let here = name(index);
    let mut facts = Facts::new(here.clone(), ago(agent.started));
    facts.is_home = index == 0;
    facts.highest = epoch(site.kept.highest);
    facts.promoted = epoch(site.kept.promoted);
    facts.coordinator_empty = agent.empty;
    facts.epoch_seen = ago(agent.epoch_seen);
    facts.renewal = agent.renewal.map(|(of, age)| Renewal { epoch: epoch(of), sent: ago(age) });
    let promise = agent.promise.map(|(of, age)| Promise { epoch: epoch(of), sent: ago(age) });
    facts.promises = promise.map(|promise| (name(1 - index), promise)).into_iter().collect();
    facts.promised = agent.promised.map(ago);
    facts.writable = agent.writable.map(ago);
    facts.open = agent.open.map(epoch);
    facts.hold = agent.hold.map(|hold| Hold {
        execution: move_name(hold.execution),
        epoch: epoch(hold.epoch),
        until: ahead(hold.rest),
    });
    facts.executing = agent.execution.is_some();
    facts.order = agent.order.map(|order| CoreOrder {
        accept_loss: (order == Order::AcceptLoss).then_some(Duration::from_secs(3600)),
        outweighs: Outweighs::All,
    });
    facts.ledger_sound = site.trouble != Some(Trouble::Ledger);
    facts.claiming = site.kept.claim.map(|_| Record::first(name(1 - index)));
    let first = Rec { epoch: 1, ..Rec::default() };
    facts.fencing = site.kept.fence.map(|it| fencing(it, first));
    if let Some(seen) = agent.seen {
        let cause = seen.record.cause.into();
        facts.epoch_is_failover = matches!(
            cause,
            mainstay_core::record::Cause::Automatic | mainstay_core::record::Cause::Ordered
        );
        facts.record = Some(SeenRecord {
            record: record(seen.record, 7),
            changed: ago(seen.changed),
            read: ago(seen.read),
        });
        facts.claiming = site.kept.claim.map(|_| record(seen.record, 7));
        facts.fencing = site.kept.fence.map(|it| fencing(it, seen.record));
        if usize::from(seen.record.active) != index {
            about_the_active_site(&mut facts, index, site, agent);
        }
    }
    facts
}

/// Of when it began only counts whether a promise was given since.
fn fencing(fence: Fence, seen: Rec) -> Fencing {
    Fencing {
        from: record(seen, if fence.seen_other { 6 } else { 7 }),
        begun: if fence.promised { Tick::default() } else { NOW.plus(Duration::from_secs(1)) },
        outcome: match fence.phase {
            FencePhase::UnderWay | FencePhase::SeenStopped | FencePhase::Looks => {
                FenceOutcome::UnderWay
            }
            FencePhase::Confirmed => FenceOutcome::Confirmed,
            FencePhase::Unknown => FenceOutcome::Unknown,
        },
    }
}

fn about_the_active_site(facts: &mut Facts, index: usize, site: &Site, agent: &Agent) {
    let looks = [(name(index), agent.own_look), (name(2), agent.witness_look)];
    for (vantage, look) in looks {
        let Some((reached, age)) = look else { continue };
        let verdict = if reached { Verdict::Healthy } else { Verdict::Unreachable };
        let evidence = Evidence { verdict, gathered: ago(age), why: String::new() };
        facts.evidence.insert(vantage, evidence);
    }
    facts.returning = site.returns(index).then(|| site.kept.way.lacks()).flatten();
    if facts.returning == Some(mainstay_core::decision::WayBack::Apart) {
        return;
    }
    let link = LinkFacts {
        sound: site.trouble != Some(Trouble::LinkStopped),
        received: Some(Position::Postgres(Lsn(site.received.into()))),
        complete_until: agent.complete.map(ago),
        advanced: agent.advanced.map(ago),
    };
    facts.links.insert(store(), link);
}

fn outcome(decision: mainstay_core::decision::Decision) -> Outcome {
    let rest = |until: Tick| {
        Age::try_from(until.since(NOW).as_secs()).expect("a right is shorter than two leases")
    };
    let mut outcome = Outcome {
        state: decision.state,
        posture: decision.posture.map(|posture| match posture {
            Posture::Serve { until } => GatePosture::Serve { rest: rest(until) },
            Posture::Hold { until } => GatePosture::Hold { rest: rest(until) },
            Posture::Forward { .. } => GatePosture::Forward,
            Posture::Closed { .. } => GatePosture::Closed,
        }),
        databases: match decision.databases {
            Databases::Open(epoch) => Some((true, number(epoch))),
            Databases::Fenced(epoch) => Some((false, number(epoch))),
            Databases::Leave => None,
        },
        found: false,
        renew: false,
        ask: false,
        take_back: false,
        claim: None,
        promote: false,
        fence: false,
    };
    for action in decision.actions {
        match action {
            Action::Found => outcome.found = true,
            Action::Renew => outcome.renew = true,
            Action::AskPromises => outcome.ask = true,
            Action::TakeBack => outcome.take_back = true,
            Action::Claim { ordered, .. } => outcome.claim = Some(ordered),
            Action::Promote => outcome.promote = true,
            Action::FenceOutside { .. } => outcome.fence = true,
        }
    }
    outcome
}
