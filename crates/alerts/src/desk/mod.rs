//! What waits to be told by one notifier: a pure queue that is asked again and again. Time and
//! chance come in as arguments; sending and keeping are done by whoever asks.
//!
//! Invariant: what fell due is in the document until it was delivered, or ended untold with its end
//! delivered, or was taken over by another agent.
//! Invariant: the document, and the memory for it, are bounded.

mod case;

use crate::alert::{Alert, Loss, Message, Status};
use case::Case;
use mainstay_core::notifier::Notifier;
use mainstay_core::{ApplicationName, NotifierName, Tick};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// More at once help nobody.
const MOST_CASES: usize = 200;
const MOST_DELIVERED: usize = 20;
/// The kind of the problem that a notifier does not deliver. Its own would not arrive by it.
pub const FAILS: &str = "notifier-fails";

pub struct Desk {
    name: NotifierName,
    spec: Notifier,
    kept: Document,
    trouble: Option<Trouble>,
    /// Nothing is tried before.
    not_before: Tick,
    /// The document is not what was last taken.
    changed: bool,
    counts: Counts,
}

/// What outlives the agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    cases: BTreeMap<String, Case>,
    delivered: VecDeque<Delivered>,
    left_out: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    pub key: String,
    pub status: Status,
    pub what: String,
    pub micros: i64,
}

/// Deliveries have failed since, so many in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    pub why: String,
    pub since_micros: i64,
    pub failures: u32,
}

/// Since this agent began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub sent: u64,
    pub failed: u64,
    pub left_out: u64,
}

/// One that waits, as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub key: String,
    pub status: Status,
    pub what: String,
    pub since_micros: i64,
}

/// What surrounds the problems of one look.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Keys that another agent tells by a notifier of this name.
    pub covered: BTreeSet<String>,
    /// How long this agent leaves agents that come first alone with what it sees too.
    pub ranks: BTreeMap<ApplicationName, Duration>,
    /// What a failover would lose now; also told with what has ended.
    pub losses: BTreeMap<ApplicationName, Loss>,
}

impl Desk {
    /// With what an earlier agent kept, if it did.
    pub fn new(name: NotifierName, spec: Notifier, document: Option<Document>, now: Tick) -> Self {
        let mut kept = document.unwrap_or_default();
        kept.cases.values_mut().for_each(|case| case.restored(now));
        let (trouble, not_before, changed) = (None, Tick::default(), false);
        Self { name, spec, kept, trouble, not_before, changed, counts: Counts::default() }
    }

    pub fn name(&self) -> &NotifierName {
        &self.name
    }

    pub fn spec(&self) -> &Notifier {
        &self.spec
    }

    /// Takes in everything that is wrong now. What is not among it has ended.
    pub fn observe(&mut self, problems: &[Alert], around: &Around, micros: i64, now: Tick) {
        let mut there = BTreeSet::new();
        for alert in problems {
            if !self.wants(alert) {
                continue;
            }
            let alert = alert.clone().bounded();
            let key = alert.key();
            if let Some(case) = self.kept.cases.get_mut(&key) {
                self.changed |= case.seen(&alert, micros, now);
            } else if self.has_room(&alert) {
                self.kept.cases.insert(key.clone(), Case::begun(alert, micros, now));
            }
            there.insert(key);
        }
        for (key, case) in &mut self.kept.cases {
            case.covered = around.covered.contains(key);
            if !there.contains(key) {
                self.changed |= case.gone(micros, now);
            }
            let application = &case.alert.application;
            let rank = around.ranks.get(application).copied().unwrap_or_default();
            if let (true, Some(loss)) = (case.lasting, around.losses.get(application)) {
                case.alert.loss = *loss;
            }
            self.changed |= case.falls_due(rank, now);
        }
        let before = self.kept.cases.len();
        self.kept.cases.retain(|_, case| !case.is_over(now));
        self.changed |= before != self.kept.cases.len();
    }

    /// Takes in something that happened; `number` tells it from the next one of its kind.
    pub fn tell(&mut self, alert: &Alert, number: u64, micros: i64, now: Tick) {
        if !self.wants(alert) {
            return;
        }
        let alert = alert.clone().bounded();
        let key = format!("{}#{number}", alert.key());
        if !self.has_room(&alert) {
            return self.leave_out();
        }
        self.kept.cases.entry(key).or_insert_with(|| Case::happened(alert, micros, now));
        self.changed = true;
    }

    fn wants(&self, alert: &Alert) -> bool {
        let own =
            alert.kind == FAILS && alert.subject.split(' ').next() == Some(self.name.as_str());
        !own && self.spec.covers(&alert.application) && alert.severity >= self.spec.least
    }

    /// When too many wait, the least urgent gives way to a more urgent one.
    fn has_room(&mut self, alert: &Alert) -> bool {
        if self.kept.cases.len() < MOST_CASES {
            return true;
        }
        let least = self.kept.cases.iter().min_by_key(|(_, case)| case.alert.severity);
        let gives_way = least.filter(|(_, case)| case.alert.severity < alert.severity);
        let Some(key) = gives_way.map(|(key, _)| key.clone()) else { return false };
        self.kept.cases.remove(&key);
        self.leave_out();
        true
    }

    /// People are told that there was more.
    fn leave_out(&mut self) {
        self.kept.left_out += 1;
        self.counts.left_out += 1;
        self.changed = true;
    }

    /// What is to be sent now, with its key.
    pub fn next(&self, now: Tick) -> Option<(String, Message)> {
        if now < self.not_before {
            return None;
        }
        let due = self.due(now).min_by_key(|(_, case, _)| case.order())?;
        let (key, case, status) = due;
        Some((key.clone(), case.message(status, self.kept.left_out)))
    }

    fn due(&self, now: Tick) -> impl Iterator<Item = (&String, &Case, Status)> {
        let cases = self.kept.cases.iter();
        cases.filter_map(move |(key, case)| Some((key, case, case.due(self.spec.every, now)?)))
    }

    pub fn delivered(&mut self, key: &str, message: &Message, micros: i64, now: Tick) {
        let (status, what) = (message.status, message.alert.what.clone());
        if let Some(case) = self.kept.cases.get_mut(key) {
            case.delivered(status, micros, now);
        }
        self.kept.delivered.push_front(Delivered { key: key.to_owned(), status, what, micros });
        self.kept.delivered.truncate(MOST_DELIVERED);
        self.kept.left_out -= message.left_out.min(self.kept.left_out);
        self.trouble = None;
        self.not_before = Tick::default();
        self.counts.sent += 1;
        self.changed = true;
    }

    pub fn failed(&mut self, key: &str, why: &str, jitter: f64, micros: i64, now: Tick) {
        if let Some(case) = self.kept.cases.get_mut(key) {
            case.failed(jitter, now);
        }
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            why: String::new(),
            since_micros: micros,
            failures: 0,
        });
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.why = crate::alert::bounded(why, 500);
        self.not_before = now.plus(case::pause(trouble.failures, jitter));
        self.counts.failed += 1;
    }

    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What is due and not delivered, also what only waits for its next try.
    pub fn pending(&self, now: Tick) -> Vec<Pending> {
        let cases = self.kept.cases.iter();
        let waits = cases.filter_map(|(key, case)| {
            let status = case.waits(now)?;
            let (key, what) = (key.clone(), case.alert.what.clone());
            Some(Pending { key, status, what, since_micros: case.since_micros })
        });
        waits.collect()
    }

    /// Newest first.
    pub fn last_delivered(&self) -> Vec<Delivered> {
        self.kept.delivered.iter().cloned().collect()
    }

    /// What other agents may leave to this one.
    pub fn covers(&self, now: Tick) -> BTreeSet<String> {
        let held = self.kept.cases.iter().filter(|(_, case)| case.is_covered_here(now));
        held.map(|(key, _)| key.clone()).collect()
    }

    /// What must be kept before anything else is sent; none when that is kept already.
    pub fn take_document(&mut self) -> Option<Document> {
        std::mem::take(&mut self.changed).then(|| self.kept.clone())
    }

    /// It could not be kept: it is tried again.
    pub fn not_kept(&mut self) {
        self.changed = true;
    }
}

#[cfg(test)]
mod tests;
