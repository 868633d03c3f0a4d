//! The states, and what is said of each.

/// Where this site stands. Shown to people; never stored, always derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is agreed yet, or the coordinator has not answered since this agent began.
    Unknown,
    /// The record went back behind an epoch that was seen here: someone restored an old copy.
    Regressed,
    /// A site that only votes.
    Witness,
    /// Holder of the epoch, accepting writes.
    Active,
    /// Holder of the epoch, fenced for a planned move.
    HandingOver,
    /// Holder of the epoch that may not accept writes: its lease ran out, or its stores do not.
    Fenced,
    /// Holder of the epoch whose promotion is under way.
    Promoting,
    /// Another site is active, and renews.
    Standby,
    /// This site was active before, and is on its way back.
    Returning,
    /// Another site is active, and has not renewed for a while.
    Suspect,
    /// Nothing stands in the way but the rest of the lease.
    LeaseWait,
    /// Every condition of a failover to this site holds.
    Claiming,
    /// Every condition holds but a person's word.
    Asking,
}

/// What a newcomer has to know of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// What makes the decision come to it.
    pub set_by: &'static str,
    /// What is durable before it is left, and by whose hand.
    pub kept: &'static str,
    /// Which of the invariants it carries, by their numbers.
    pub invariants: &'static [u8],
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Regressed => "regressed",
            State::Witness => "witness",
            State::Active => "active",
            State::HandingOver => "handing-over",
            State::Fenced => "fenced",
            State::Promoting => "promoting",
            State::Standby => "standby",
            State::Returning => "returning",
            State::Suspect => "suspect",
            State::LeaseWait => "lease-wait",
            State::Claiming => "claiming",
            State::Asking => "asking",
        }
    }

    pub const ALL: [State; 13] = [
        State::Unknown,
        State::Regressed,
        State::Witness,
        State::Active,
        State::HandingOver,
        State::Fenced,
        State::Promoting,
        State::Standby,
        State::Returning,
        State::Suspect,
        State::LeaseWait,
        State::Claiming,
        State::Asking,
    ];

    pub const fn described(self) -> Described {
        let (set_by, kept, invariants): (_, _, &[u8]) = match self {
            State::Unknown => (
                "an agent that has read no record since it began",
                "the newest epoch, before the record that shows it is used",
                &[2],
            ),
            State::Regressed => (
                "a record older than an epoch that this site has seen",
                "nothing: it is left when the record has reached that epoch again",
                &[2, 7],
            ),
            State::Witness => ("the configuration", "nothing: it only votes", &[5]),
            State::Active => (
                "a renewal that was acknowledged, or a promise of every other candidate, sent less \
                 than 0.4 of the lease ago",
                "in the coordinator: every renewal; the epoch in the database that is open",
                &[1, 5, 11],
            ),
            State::HandingOver => (
                "the handover in the record, which this site wrote after it fenced its databases",
                "in the coordinator: that the handover was taken back, or the other site's claim",
                &[1, 8],
            ),
            State::Fenced => (
                "the lease of this site, which ran out without a renewal and without promises",
                "the fence with its epoch, in the databases",
                &[1, 8],
            ),
            State::Promoting => (
                "a record that names this site in an epoch for which its promotion is not done",
                "each step of the execution before it is made; the promoted epoch at its end",
                &[4, 7, 8],
            ),
            State::Standby => (
                "a record that names another site, which renews",
                "in the database: the link's position with the data that it stands for",
                &[5, 8, 9],
            ),
            State::Returning => (
                "a way back from an earlier epoch of this site that is not at its end",
                "each phase of the way back; the salvage, here and at the active site",
                &[8, 10],
            ),
            State::Suspect => (
                "three missed renewals, while something else stands in the way of a failover",
                "nothing: it is left when that, or the silence, is over",
                &[3, 5, 6],
            ),
            State::LeaseWait => (
                "nothing standing in the way but the rest of the lease",
                "that a fence from outside was begun; after a restart the wait begins anew",
                &[1, 5, 7, 11],
            ),
            State::Claiming => (
                "every condition of a failover to this site",
                "the decision in the ledger, and the record that the claim replaces, before the \
                 claim is sent",
                &[1, 2, 3, 5, 6, 7],
            ),
            State::Asking => (
                "every condition but the word of a person, where the configuration asks for it",
                "the order, in the ledger",
                &[3, 5],
            ),
        };
        Described { set_by, kept, invariants }
    }
}
