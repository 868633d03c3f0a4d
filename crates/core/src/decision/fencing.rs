//! A fence from outside: when this site may stop the active one by means of its own, and what the
//! proof of it is worth.

use super::candidate::{Hindrance, last_right};
use super::{Facts, Rules, SeenRecord};
use crate::{Record, Tick};

/// A fence of the active site that was begun here.
#[derive(Debug, Clone, PartialEq)]
pub struct Fencing {
    /// The record as it stood before the fence began. The proof is bound to it: a renewal in
    /// between means that the site lives.
    pub from: Record,
    pub begun: Tick,
    pub outcome: FenceOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FenceOutcome {
    /// Begun, and how it ended is not known: also after a crash in between.
    UnderWay,
    /// It was seen after the fence began that nothing of the site runs.
    Confirmed,
    /// It ended, and nobody knows how the site is: as if it had never begun.
    Unknown,
}

impl Facts {
    /// Whether it is being found out if the active site is stopped. Until then nothing may give it
    /// a right to write: it could take it before it is seen to be stopped, and use it afterwards.
    pub(super) fn fence_is_open(&self) -> bool {
        self.fencing.as_ref().is_some_and(|it| it.outcome == FenceOutcome::UnderWay)
    }

    /// Invariant: no right to write that was given before can be used any more, and whoever begins
    /// there anew gets one only by a change of this record, or by a promise of this site.
    pub(super) fn is_fenced_in(&self, record: &Record) -> bool {
        self.fencing.as_ref().is_some_and(|it| {
            it.outcome == FenceOutcome::Confirmed
                && it.from == *record
                && self.promised.is_none_or(|promised| promised < it.begun)
        })
    }
}

/// Invariant: a site is fenced from outside only when nothing but its lease stands between this
/// site and a claim that follows at once, and for each record at most once.
pub(super) fn begins(
    rules: &Rules,
    facts: &Facts,
    seen: &SeenRecord,
    hindrances: &[Hindrance],
    now: Tick,
) -> bool {
    let mut left = hindrances.iter();
    let only_the_lease = matches!(left.next(), Some(Hindrance::LeaseRunning { .. }));
    let begun = facts.fencing.as_ref().is_some_and(|it| it.from == seen.record);
    rules.fenced_from_outside.contains(&seen.record.active)
        && only_the_lease
        && left.next().is_none()
        && !begun
        && !facts.fence_is_open()
        && is_silent(rules, facts, seen, now)
}

/// Whether the coordinator has shown for long enough, and shows now, that the active site does not
/// renew. What this site promised counts like a renewal.
pub fn is_silent(rules: &Rules, facts: &Facts, seen: &SeenRecord, now: Tick) -> bool {
    let silent_for = seen.read.since(last_right(facts, seen));
    silent_for >= rules.fence_after && now.since(seen.read) <= rules.lease.look_timeout()
}
