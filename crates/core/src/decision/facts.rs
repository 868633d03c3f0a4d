//! What an agent knows, each fact with when it learned it on its own clock.

use super::Hindrance;
use super::fencing::Fencing;
use crate::estate::FailoverMode;
use crate::lease::Lease;
use crate::pause::SeenPause;
use crate::verdict::Evidence;
use crate::watch::{ClockOff, Damping};
use crate::{Epoch, Position, Record, SiteName, StoreName, Tick};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the configuration fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub lease: Lease,
    pub mode: FailoverMode,
    pub rpo: Duration,
    pub cool_down: Duration,
    /// Sites that only vote. At least one must agree to an automatic failover.
    pub witnesses: BTreeSet<SiteName>,
    /// Every site that could be promoted, this one and the active one included.
    pub data_sites: BTreeSet<SiteName>,
    pub stores: BTreeSet<StoreName>,
    /// Sites that the others have means to stop.
    pub fenced_from_outside: BTreeSet<SiteName>,
    /// For how long such a site must not have renewed before it is stopped.
    pub fence_after: Duration,
}

/// The record as last read.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenRecord {
    pub record: Record,
    /// When an answer first showed the record as it is: epoch, renewal and handover. A pause is no
    /// sign of life of the active site.
    pub changed: Tick,
    /// When the last answer that showed it was received.
    pub read: Tick,
}

/// The newest renewal that the coordinator acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    pub epoch: Epoch,
    /// When it was *sent*.
    pub sent: Tick,
}

/// A candidate's word that it will not act for a lease time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub epoch: Epoch,
    /// When it was asked for.
    pub sent: Tick,
}

/// A planned move has asked this site to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub execution: String,
    /// The epoch that the move means to end. With it the hold is over.
    pub epoch: Epoch,
    pub until: Tick,
}

/// A link from the active site to this one, as far as a failover is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// Everything arrives and is applied; not copying, not stopped.
    pub sound: bool,
    /// The end of what was received.
    pub received: Option<Position>,
    /// This site holds everything that the source had committed at this tick.
    pub complete_until: Option<Tick>,
    /// When a transaction last arrived from the source.
    pub advanced: Option<Tick>,
}

/// A person's order to fail over to this site.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The largest loss that the person accepts.
    pub accept_loss: Option<Duration>,
    pub outweighs: Outweighs,
}

/// What an order outweighs, of all that yields to one. That a person's word was missing is
/// outweighed by every order.
#[derive(Debug, Clone, PartialEq)]
pub enum Outweighs {
    All,
    /// Exactly these; with none of them nothing is forced.
    These(Vec<Hindrance>),
}

/// What a site that was active before still lacks on its way back, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayBack {
    /// It holds what the active site had at the link's position and nothing else: its salvage is
    /// kept, its rows are put right, and the link has passed the position of those. Only that both
    /// sites are equal is not proved yet.
    NotProved,
    /// It may hold what the active site does not, or rows from another instant than the rest.
    Apart,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub here: SiteName,
    pub witness: bool,
    pub is_home: bool,
    /// When this agent began.
    pub started: Tick,
    /// The highest epoch ever seen here. Persisted before anything is done with it.
    pub highest: Epoch,
    /// The epoch of this site's last completed promotion. Persisted.
    pub promoted: Epoch,
    pub record: Option<SeenRecord>,
    /// The coordinator answered, and holds no record.
    pub coordinator_empty: bool,
    /// When the epoch of the record was first seen here; for the cool-down.
    pub epoch_seen: Tick,
    /// The epoch came about by a failover.
    pub epoch_is_failover: bool,
    pub renewal: Option<Renewal>,
    pub promises: BTreeMap<SiteName, Promise>,
    /// When this site last promised the active one not to act for a lease time.
    pub promised: Option<Tick>,
    /// The last tick at which this site's own write path worked.
    pub writable: Option<Tick>,
    /// The databases were found open in this epoch.
    pub open: Option<Epoch>,
    /// What each vantage says of the active site.
    pub evidence: BTreeMap<SiteName, Evidence>,
    pub links: BTreeMap<StoreName, LinkFacts>,
    /// This site was active before and is not back yet.
    pub returning: Option<WayBack>,
    pub hold: Option<Hold>,
    /// The record that this site last asked to take over from. Persisted before the claim is sent.
    pub claiming: Option<Record>,
    /// The last fence from outside that was begun here. That it was begun is persisted before.
    pub fencing: Option<Fencing>,
    /// An execution is at work here.
    pub executing: bool,
    pub order: Option<Order>,
    /// The record's pause as this agent counts it.
    pub pause: Option<SeenPause>,
    /// How often this vantage has seen the active site's health come and go.
    pub health: Damping,
    /// A clock among those that the lease counts on runs too fast or too slow for it.
    pub clock: Option<ClockOff>,
    /// What is decided can be entered in the ledger.
    pub ledger_sound: bool,
}

impl Facts {
    /// The hold under which this site is in that epoch.
    pub(super) fn held(&self, epoch: Epoch, now: Tick) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.epoch == epoch && now < hold.until)
    }

    /// A claim was sent and its outcome is not known: it can be made as long as the record that it
    /// replaces still stands, however long ago its sender gave it up, or crashed.
    pub fn claim_is_open(&self) -> bool {
        self.claiming
            .as_ref()
            .is_some_and(|from| self.record.as_ref().is_none_or(|seen| seen.record == *from))
    }

    pub fn new(here: SiteName, started: Tick) -> Self {
        Self {
            here,
            witness: false,
            is_home: false,
            started,
            highest: Epoch::default(),
            promoted: Epoch::default(),
            record: None,
            coordinator_empty: false,
            epoch_seen: started,
            epoch_is_failover: false,
            renewal: None,
            promises: BTreeMap::new(),
            promised: None,
            writable: None,
            open: None,
            evidence: BTreeMap::new(),
            links: BTreeMap::new(),
            returning: None,
            hold: None,
            claiming: None,
            fencing: None,
            executing: false,
            order: None,
            pause: None,
            health: Damping::default(),
            clock: None,
            ledger_sound: true,
        }
    }
}
