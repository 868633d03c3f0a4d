//! One thing that a notifier tells, from its beginning until its end was told.

use crate::alert::{Alert, Message, Status};
use mainstay_core::Tick;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is over sooner is not told by itself.
const SETTLE: Duration = Duration::from_secs(1);
/// So long a problem must be gone before its end is told.
const QUIET: Duration = Duration::from_secs(5);
/// The same for one that came and went often; and how long it is remembered that it did.
const DAMPED: Duration = Duration::from_secs(300);
/// From so many times on it is told as one.
const OFTEN: u32 = 3;
/// How long another agent leaves it to the one that is to tell it.
const PATIENCE: Duration = Duration::from_secs(20);
/// An event that nobody could be told of for so long is news no more.
const STALE: Duration = Duration::from_secs(24 * 3600);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    pub alert: Alert,
    /// False for an event, which has no end.
    pub lasting: bool,
    pub since_micros: i64,
    /// None while it lasts.
    pub ended_micros: Option<i64>,
    pub count: u32,
    /// It lasted long enough to be told, and this agent is the one to do it.
    pub owed: bool,
    /// What was last delivered, and when.
    pub told: Option<(Status, i64)>,
    /// Another agent tells it this way.
    #[serde(skip)]
    pub covered: bool,
    /// Since when it is as it is: there, or gone.
    #[serde(skip)]
    turned: Tick,
    #[serde(skip)]
    owed_at: Tick,
    #[serde(skip)]
    told_at: Tick,
    #[serde(skip)]
    tries: u32,
    #[serde(skip)]
    not_before: Tick,
}

impl Case {
    pub fn begun(alert: Alert, micros: i64, now: Tick) -> Self {
        Self {
            alert,
            lasting: true,
            since_micros: micros,
            ended_micros: None,
            count: 1,
            owed: false,
            told: None,
            covered: false,
            turned: now,
            owed_at: now,
            told_at: now,
            tries: 0,
            not_before: Tick::default(),
        }
    }

    pub fn happened(alert: Alert, micros: i64, now: Tick) -> Self {
        Self { lasting: false, owed: true, ..Self::begun(alert, micros, now) }
    }

    /// After a restart nobody knows how long ago that was on this clock: it counts anew.
    pub fn restored(&mut self, now: Tick) {
        (self.turned, self.owed_at, self.told_at) = (now, now, now);
    }

    /// Its beginning was told this way, and its end was not.
    pub fn is_held(&self) -> bool {
        matches!(self.told, Some((Status::Begun | Status::Lasts, _)))
    }

    /// Still there, or there again.
    pub fn seen(&mut self, alert: &Alert, micros: i64, now: Tick) -> bool {
        self.alert = alert.clone();
        if self.ended_micros.take().is_none() {
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.turned = now;
        if !self.is_held() {
            self.since_micros = micros;
            self.owed &= self.told.is_none();
        }
        true
    }

    pub fn gone(&mut self, micros: i64, now: Tick) -> bool {
        if !self.lasting || self.ended_micros.is_some() {
            return false;
        }
        self.ended_micros = Some(micros);
        self.turned = now;
        true
    }

    /// Whether this agent owes it from now on; `rank` is how long agents that come first are left
    /// alone with it.
    pub fn falls_due(&mut self, rank: Duration, now: Tick) -> bool {
        let lasts = self.ended_micros.is_none() && now.since(self.turned) >= SETTLE + rank;
        let due = !self.owed && !self.covered && (lasts || self.count >= OFTEN);
        if due {
            (self.owed, self.owed_at) = (true, now);
        }
        due
    }

    /// What is to be told of it now.
    pub fn due(&self, every: Option<Duration>, now: Tick) -> Option<Status> {
        if !self.owed || now < self.not_before || (self.covered && !self.is_held()) {
            return None;
        }
        let told = self.told.map(|(status, _)| status);
        match (self.lasting, self.ended_micros, told) {
            (false, _, None) => Some(Status::Happened),
            (true, None, None | Some(Status::Ended)) => Some(Status::Begun),
            (true, None, Some(_)) if every.is_some_and(|every| self.told_for(now) >= every) => {
                Some(Status::Lasts)
            }
            (true, Some(_), None) if self.is_quiet(now) => Some(Status::Ended),
            (true, Some(_), Some(_)) if self.is_held() && self.is_quiet(now) => Some(Status::Ended),
            _ => None,
        }
    }

    /// What is due, or will be with the next try.
    pub fn waits(&self, now: Tick) -> Option<Status> {
        let next_try = now.max(self.not_before);
        self.due(None, now).or_else(|| self.due(None, next_try))
    }

    fn told_for(&self, now: Tick) -> Duration {
        now.since(self.told_at)
    }

    fn is_quiet(&self, now: Tick) -> bool {
        now.since(self.turned) >= if self.count >= OFTEN { DAMPED } else { QUIET }
    }

    /// Nothing of it is left to be told, nor to be remembered.
    pub fn is_over(&self, now: Tick) -> bool {
        let gone_for = now.since(self.turned);
        match (self.lasting, self.ended_micros) {
            (false, _) => self.told.is_some() || gone_for >= STALE,
            (true, None) => false,
            (true, Some(_)) if self.owed && !self.covered => {
                matches!(self.told, Some((Status::Ended, _))) && gone_for >= DAMPED
            }
            (true, Some(_)) => !self.is_held() && gone_for >= DAMPED,
        }
    }

    /// What other agents may leave to this one.
    pub fn is_covered_here(&self, now: Tick) -> bool {
        self.is_held() || (self.owed && now.since(self.owed_at) < PATIENCE && !self.covered)
    }

    /// What is due first: what was tried least, then what is most urgent, then what is oldest.
    pub fn order(&self) -> (u32, std::cmp::Reverse<mainstay_core::AlertSeverity>, i64) {
        (self.tries, std::cmp::Reverse(self.alert.severity), self.since_micros)
    }

    pub fn message(&self, status: Status, left_out: u64) -> Message {
        Message {
            alert: self.alert.clone(),
            status,
            since_micros: self.since_micros,
            ended_micros: self.ended_micros,
            count: self.count,
            left_out,
        }
    }

    pub fn delivered(&mut self, status: Status, micros: i64, now: Tick) {
        self.told = Some((status, micros));
        self.told_at = now;
        self.tries = 0;
        self.not_before = Tick::default();
        // A new appearance has to settle again.
        self.owed = status != Status::Ended || self.ended_micros.is_some();
    }

    pub fn failed(&mut self, jitter: f64, now: Tick) {
        self.tries = self.tries.saturating_add(1);
        self.not_before = now.plus(pause(self.tries, jitter));
    }
}

/// How long to wait after so many failures in a row, with `jitter` from 0 to 1: several agents
/// whose way was cut do not come back at one instant.
pub fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}
