//! What rechecks of one store say at this site: rows that its link changed, compared again soon
//! after. They prove nothing of other rows; what they find different differs.

use crate::types::{Recheck, Rechecks};
use mainstay_core::Tick;
use std::time::Duration;

/// How often rows are compared again.
const EVERY: Duration = Duration::from_secs(60);
/// So many in a row that could not be made are told. One may meet a comparison, or a transaction
/// that is writing.
const TOLD: u32 = 3;
/// How many times the pause one waits at most, after as many that could not be made.
const LONGEST: u32 = 15;

#[derive(Default)]
pub struct Rechecking {
    last: Option<Recheck>,
    /// The last one that found a difference, until something says more.
    found: Option<Recheck>,
    /// That could not be made, in a row, and why the last one could not.
    failures: u32,
    why: String,
    next: Option<Tick>,
}

impl Rechecking {
    /// Asked while the link streams.
    pub fn is_due(&mut self, now: Tick) -> bool {
        now >= *self.next.get_or_insert(now.plus(EVERY))
    }

    /// None where the link has changed nothing.
    pub fn made(&mut self, recheck: Option<Recheck>, now: Tick) {
        self.failures = 0;
        self.next = Some(now.plus(EVERY));
        let Some(recheck) = recheck else { return };
        if recheck.of.is_different() {
            self.found = Some(recheck.clone());
        }
        self.last = Some(recheck);
    }

    /// Says whether that is to be told now.
    pub fn failed(&mut self, why: String, now: Tick) -> bool {
        self.failures += 1;
        self.why = why;
        self.next = Some(now.plus(EVERY * self.failures.min(LONGEST)));
        self.failures == TOLD
    }

    /// Something else says whether the store differs.
    pub fn forget_found(&mut self) {
        self.found = None;
    }

    pub fn view(&self) -> Rechecks {
        let told = self.failures >= TOLD;
        Rechecks {
            last: self.last.clone(),
            found: self.found.clone(),
            trouble: told.then(|| format!("{} in a row not made: {}", self.failures, self.why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    #[test]
    fn a_recheck_is_due_every_minute_and_later_after_each_that_could_not_be_made() {
        let mut it = Rechecking::default();
        assert!(!it.is_due(at(10)) && !it.is_due(at(69)) && it.is_due(at(70)));
        it.made(None, at(70));
        assert!(!it.is_due(at(129)) && it.is_due(at(130)));
        assert!(!it.failed("busy".into(), at(130)), "one is nothing to tell");
        assert!(it.is_due(at(190)) && it.view().trouble.is_none());
        assert!(!it.failed("busy".into(), at(190)));
        assert!(!it.is_due(at(309)) && it.is_due(at(310)));
        assert!(it.failed("busy".into(), at(310)), "three in a row are told, once");
        assert!(!it.failed("stuck".into(), at(500)));
        assert_eq!(it.view().trouble.as_deref(), Some("4 in a row not made: stuck"));
        for _ in 0..100 {
            it.failed("stuck".into(), at(1000));
        }
        assert!(!it.is_due(at(1899)) && it.is_due(at(1900)), "a quarter of an hour");
        it.made(None, at(1900));
        assert!(it.view().trouble.is_none() && it.is_due(at(1960)));
    }
}
