//! What a state of the model consists of. No absolute time is in it, only ages in seconds of the
//! owner's clock, each saturated where no rule tells it from a greater one; so the space is finite.

use super::budget::Budget;
use mainstay_core::decision::{State, WayBack};
use mainstay_core::record::Cause;

/// Seconds of one site's clock.
pub type Age = u8;
/// Above every bound that the rules compare a long age with: lease and margin, cool-down, and the
/// five seconds by which a fresh read may be older than the lease's end.
pub const OLD: Age = 16;
/// Above every bound that the rules compare a short age with: 0.4 of the lease, fresh evidence.
pub const STALE: Age = 6;
/// How far a clock of the usual rate goes in one step of true time.
pub const RATE: Age = 2;

/// East, the home, and west; the witness keeps the coordinator.
pub const EAST: usize = 0;
pub const WEST: usize = 1;
/// Index in `World::cuts`: between the sites, and from each site to the witness.
pub const BETWEEN: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    pub sites: [Site; 2],
    pub coordinator: Coordinator,
    /// From east to the witness, from west to the witness, between the sites.
    pub cuts: [bool; 3],
    /// A request that its sender has given up and that may still arrive.
    pub late: Option<Request>,
    pub budget: Budget,
    pub ghost: Ghost,
}

/// What the oracle knows and no agent does: nothing here is an input of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ghost {
    /// The holder of each epoch, from epoch 1.
    pub holders: [Option<u8>; 4],
    /// The newest epoch came about by a failover, so long ago on each site's clock.
    pub failover: Option<[Age; 2]>,
    /// For how long the link to each site has not brought everything, on its target's clock.
    pub complete: [Age; 2],
    /// It had not for longer than the bound when the active site last renewed, nor has it since.
    pub over: [bool; 2],
    /// The active site ended for this planned move, and has accepted nothing since.
    pub ended: Option<u8>,
    /// An old copy of the record was brought back.
    pub restored: bool,
}

/// The record with its version as "is it the one that stands": a compare-and-set asks no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Coordinator {
    pub down: bool,
    pub record: Option<Rec>,
    /// What an old copy holds.
    pub copy: Option<Rec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rec {
    pub epoch: u8,
    pub active: u8,
    pub cause: CauseOf,
    /// A renewal has said where the active site's stores end.
    pub positions: bool,
    /// The planned move that the active site is fenced for.
    pub handover: Option<u8>,
}

/// `Cause` without its words, so that a state can be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CauseOf {
    #[default]
    Initial,
    Automatic,
    Ordered,
    Switchover,
}

impl From<CauseOf> for Cause {
    fn from(cause: CauseOf) -> Self {
        match cause {
            CauseOf::Initial => Cause::Initial,
            CauseOf::Automatic => Cause::Automatic,
            CauseOf::Ordered => Cause::Ordered,
            CauseOf::Switchover => Cause::Switchover,
        }
    }
}

/// A compare-and-set on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    pub site: u8,
    pub change: Change,
    /// What the sender believed to stand when it sent this.
    pub from: Option<Rec>,
    /// It does stand: nothing came in between.
    pub stands: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    Found,
    Renew,
    HandOver(u8),
    TakeBack,
    Claim(CauseOf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Site {
    /// None while the agent is not running.
    pub agent: Option<Agent>,
    pub kept: Kept,
    pub gate: Gate,
    pub database: Database,
    /// Seconds of this site's clock in one step of true time.
    pub rate: Age,
    /// The whole site is gone: agent, gate, database.
    pub down: bool,
    /// What is wrong with the site besides.
    pub trouble: Option<Trouble>,
    /// The agent is stopped (SIGSTOP) after it decided this and before it did it.
    pub frozen: Option<Frozen>,
    /// In the present step of true time.
    pub acted: bool,
    /// The link to this site has received what the newest renewal seen here named.
    pub received: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Its database takes no write.
    Stores,
    /// Its ledger cannot be written.
    Ledger,
    /// Its own looks at the other site come to no result.
    Blind,
    /// The link to it has stopped.
    LinkStopped,
    /// The link to it falls behind.
    LinkBehind,
    /// Something besides the gate goes on writing to its open database.
    Job,
}

/// What outlives the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kept {
    pub highest: u8,
    pub promoted: u8,
    /// How far the way back is, and of which epoch it is.
    pub back: u8,
    pub way: Way,
    /// This site asked to take over from a record, and has seen no other since; whether that one
    /// does stand.
    pub claim: Option<bool>,
    /// The last fence from outside that this site began.
    pub fence: Option<Fence>,
}

/// A fence of the other site from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    pub phase: FencePhase,
    /// The record that it was begun with does stand, and is the one seen here.
    pub stands: bool,
    pub seen_other: bool,
    /// A promise was given here since it began.
    pub promised: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FencePhase {
    /// The command is under way.
    UnderWay,
    /// Nothing ran at the other site at some instant since; its agent here does not know yet.
    SeenStopped,
    /// The agent crashed in between and began anew: it only looks.
    Looks,
    Confirmed,
    Unknown,
}

impl Fence {
    pub fn is_open(self) -> bool {
        !matches!(self.phase, FencePhase::Confirmed | FencePhase::Unknown)
    }
}

/// `Option<WayBack>` in the order in which it is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Way {
    #[default]
    Apart,
    NotProved,
    Ready,
}

impl Way {
    pub fn lacks(self) -> Option<WayBack> {
        match self {
            Way::Apart => Some(WayBack::Apart),
            Way::NotProved => Some(WayBack::NotProved),
            Way::Ready => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Agent {
    pub started: Age,
    /// The coordinator answered, and holds no record.
    pub empty: bool,
    pub seen: Option<Seen>,
    pub epoch_seen: Age,
    /// Epoch and age of when it was sent.
    pub renewal: Option<(u8, Age)>,
    pub promise: Option<(u8, Age)>,
    pub promised: Option<Age>,
    pub writable: Option<Age>,
    pub open: Option<u8>,
    /// Whether the look reached the application at the active site, and its age.
    pub own_look: Option<(bool, Age)>,
    pub witness_look: Option<(bool, Age)>,
    pub complete: Option<Age>,
    pub advanced: Option<Age>,
    pub hold: Option<Hold>,
    pub execution: Option<Execution>,
    pub order: Option<Order>,
    /// The last state shown; no input of a decision.
    pub shown: Option<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    pub record: Rec,
    /// It is still what stands. The agent does not know; a compare-and-set finds out.
    pub stands: bool,
    pub changed: Age,
    pub read: Age,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    pub execution: u8,
    pub epoch: u8,
    pub rest: Age,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    Plain,
    AcceptLoss,
}

/// The one execution that is at work at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Execution {
    Promotion { epoch: u8, first: bool },
    Move { id: u8, epoch: u8, stage: Stage },
}

/// What a planned move has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Held,
    HandedOver,
    Drained,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gate {
    pub epoch: u8,
    pub posture: GatePosture,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GatePosture {
    Serve { rest: Age },
    Hold { rest: Age },
    Forward,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Database {
    pub epoch: u8,
    pub open: bool,
}

/// A decision that was made and is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frozen {
    /// It goes on and answers the others, and the effects are still to come.
    pub stirs: bool,
    pub posture: Option<GatePosture>,
    pub databases: Option<(bool, u8)>,
    pub change: Option<Change>,
    pub from: Option<Rec>,
    pub promote: bool,
}

impl World {
    /// Nothing has begun: both agents run, and the coordinator holds no record.
    pub fn empty(budget: Budget) -> Self {
        let site = Site {
            agent: Some(Agent::default()),
            kept: Kept::default(),
            gate: Gate { epoch: 0, posture: GatePosture::Closed },
            database: Database { epoch: 0, open: false },
            rate: RATE,
            down: false,
            trouble: None,
            frozen: None,
            acted: false,
            received: false,
        };
        Self {
            sites: [site; 2],
            coordinator: Coordinator::default(),
            cuts: [false; 3],
            late: None,
            budget,
            ghost: Ghost::default(),
        }
    }

    pub fn sites_reach(&self) -> bool {
        !self.cuts[BETWEEN]
    }

    pub fn reaches_witness(&self, site: usize) -> bool {
        !self.cuts[site] && !self.coordinator.down && !self.sites[site].down
    }

    /// Whether a write of the application would be committed at this site now. What was open before
    /// a hold goes on until it is drained, so a hold counts.
    pub fn accepts(&self, site: usize) -> bool {
        let site = &self.sites[site];
        let passes =
            matches!(site.gate.posture, GatePosture::Serve { .. } | GatePosture::Hold { .. });
        passes && site.takes_writes()
    }

    /// Whether the application answers there: for probes.
    pub fn answers(&self, site: usize) -> bool {
        let site = &self.sites[site];
        matches!(site.gate.posture, GatePosture::Serve { .. }) && site.takes_writes()
    }

    /// Whether the link to this site can bring something now.
    pub fn flows(&self, site: usize) -> bool {
        let source = &self.sites[1 - site];
        self.sites_reach() && !source.down && !self.sites[site].down
    }

    /// Whether the link to this site brings everything.
    pub fn follows(&self, site: usize) -> bool {
        let trouble = self.sites[site].trouble;
        let whole = !matches!(trouble, Some(Trouble::LinkStopped | Trouble::LinkBehind));
        self.flows(site) && whole
    }

    /// Whether the link brings changes that are made at the other site now.
    pub fn brings(&self, site: usize) -> bool {
        let other = &self.sites[1 - site];
        let job = other.trouble == Some(Trouble::Job) && other.database.open;
        let flows = self.flows(site) && self.sites[site].trouble != Some(Trouble::LinkStopped);
        flows && (job || self.accepts(1 - site))
    }
}

impl Site {
    /// The agent, when it runs and nothing that it decided waits.
    pub fn awake(&self) -> Option<&Agent> {
        self.agent.as_ref().filter(|_| self.frozen.is_none())
    }

    /// The agent, when it answers the others.
    pub fn answering(&self) -> Option<&Agent> {
        self.agent.as_ref().filter(|_| self.frozen.is_none_or(|frozen| frozen.stirs))
    }

    fn takes_writes(&self) -> bool {
        !self.down && self.database.open && self.trouble != Some(Trouble::Stores)
    }

    /// This site was active before and is not now.
    pub fn returns(&self, site: usize) -> bool {
        let seen = self.agent.as_ref().and_then(|agent| agent.seen);
        self.kept.promoted > 0 && seen.is_some_and(|seen| usize::from(seen.record.active) != site)
    }
}
