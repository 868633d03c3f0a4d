//! The decision: what one agent should do about one application, from what it knows now.
//!
//! [`decide`] is a pure function of [`Facts`] and a tick. It is asked again and again (level, not
//! edge): nothing depends on an event being seen once, so a lost message or a restart only delays
//! it. Effects go out as data in [`Decision`]; the agent carries them out and brings what came of
//! them back as facts.

mod active;
mod candidate;
mod facts;
mod fencing;
mod state;

pub use active::writes_until;
pub use candidate::{Hindrance, hindrances, lag_at_last_right, loss_bound};
pub use facts::{
    Facts, Hold, LinkFacts, Order, Outweighs, Promise, Renewal, Rules, SeenRecord, WayBack,
};
pub use fencing::{FenceOutcome, Fencing, is_silent};
pub use state::{Described, State};

use crate::{Epoch, Posture, Record, SiteName, Tick};

/// What must be true of this site's databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Databases {
    /// They accept the application's writes in this epoch.
    Open(Epoch),
    /// They accept none, and nothing older than this epoch may open them.
    Fenced(Epoch),
    /// Not to be touched: an execution is at work, or nothing is known.
    Leave,
}

/// What the agent is to do now. Every action is safe to do twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create the first record.
    Found,
    /// Renew the lease.
    Renew,
    /// Ask every candidate for a promise not to act.
    AskPromises,
    /// Take the handover back: the planned move did not come to pass in time.
    TakeBack,
    /// Have the active site stopped by the means that are configured for it. Safe to make twice; the
    /// proof is bound to exactly this record.
    FenceOutside { from: Record },
    /// Take over: replace exactly this record by one with the next epoch.
    Claim { from: Record, ordered: bool },
    /// Carry on with the promotion for the epoch that this site holds.
    Promote,
}

/// What should be the case at this site now.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub state: State,
    /// None leaves the gate as it is: it lapses by itself.
    pub posture: Option<Posture>,
    pub databases: Databases,
    pub actions: Vec<Action>,
    /// What stands between this site and a failover to it, when it is a candidate.
    pub hindrances: Vec<Hindrance>,
}

impl Decision {
    fn new(state: State, posture: Option<Posture>, databases: Databases) -> Self {
        Self { state, posture, databases, actions: Vec::new(), hindrances: Vec::new() }
    }

    fn closed(state: State, databases: Databases, reason: &str) -> Self {
        Self::new(state, Some(Posture::Closed { reason: reason.to_owned() }), databases)
    }

    fn with(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }
}

/// What this agent should do now.
pub fn decide(rules: &Rules, facts: &Facts, now: Tick) -> Decision {
    let Some(seen) = &facts.record else {
        return without_record(facts);
    };
    if seen.record.epoch < facts.highest {
        return Decision::closed(
            State::Regressed,
            Databases::Fenced(facts.highest),
            "the coordinator has forgotten an epoch that this site has seen",
        );
    }
    if facts.witness {
        return Decision::new(State::Witness, None, Databases::Leave);
    }
    if seen.record.active == facts.here {
        active::decide(rules, facts, &seen.record, now)
    } else {
        candidate::decide(rules, facts, seen, now)
    }
}

/// Nothing is agreed, or the coordinator has not answered yet. Only the home site founds the first
/// record, and only when nothing here remembers an epoch.
fn without_record(facts: &Facts) -> Decision {
    let virgin = facts.highest == Epoch::default();
    let founds = facts.coordinator_empty && facts.is_home && virgin && !facts.witness;
    let state = if facts.coordinator_empty && !virgin { State::Regressed } else { State::Unknown };
    Decision::new(state, None, Databases::Leave).with(founds.then_some(Action::Found))
}

/// Whether this site may promise the active site not to act for a lease time from now. A site that
/// takes itself for the active one promises nothing: it may be acting.
pub fn may_promise(facts: &Facts, asking: &SiteName, epoch: Epoch) -> bool {
    let fits = |record: &Record| {
        let newer = record.epoch < epoch || (record.epoch == epoch && record.active == *asking);
        newer && record.active != facts.here
    };
    facts.record.as_ref().is_none_or(|seen| fits(&seen.record))
        && facts.highest <= epoch
        && !facts.claim_is_open()
        && !facts.fence_is_open()
}

/// Whether this site may fence itself in favour of the site that asks, in a planned move that ends
/// this epoch. Until its own promotion is done, that would open again what the move fences.
pub fn may_hand_over(facts: &Facts, epoch: Epoch) -> bool {
    let record = facts.record.as_ref().map(|seen| &seen.record);
    let holds = record.is_some_and(|it| it.active == facts.here && it.epoch == epoch);
    holds && facts.promoted == epoch
}
