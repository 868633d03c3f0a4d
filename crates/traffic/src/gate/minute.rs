//! What came of the clients' requests and connections within the last minute.

use mainstay_core::Tick;
use mainstay_core::watch::Minute;
use std::sync::{Mutex, PoisonError};

/// One slot for each second.
const SLOTS: usize = 60;

/// Figures that fall out of the sum when they are a minute old.
#[derive(Debug)]
pub struct Sliding(Mutex<[(u64, Minute); SLOTS]>);

impl Default for Sliding {
    fn default() -> Self {
        Self(Mutex::new([Default::default(); SLOTS]))
    }
}

impl Sliding {
    /// A request of a client that was answered or given up.
    pub fn request(&self, now: Tick, failed: bool) {
        self.add(now, Minute { requests: 1, failed: failed.into(), ..Minute::default() });
    }

    /// A database connection that a client asked for.
    pub fn connection(&self, now: Tick, failed: bool) {
        self.add(now, Minute { connections: 1, unconnected: failed.into(), ..Minute::default() });
    }

    fn add(&self, now: Tick, more: Minute) {
        let second = now.millis() / 1000;
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[(second % SLOTS as u64) as usize];
        let before = if slot.0 == second { slot.1 } else { Minute::default() };
        *slot = (second, before.plus(more));
    }

    pub fn sum(&self, now: Tick) -> Minute {
        let second = now.millis() / 1000;
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = slots.iter().filter(|(of, _)| second.saturating_sub(*of) < SLOTS as u64);
        fresh.fold(Minute::default(), |sum, (_, slot)| sum.plus(*slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Tick {
        Tick::from_millis(second * 1000 + 999)
    }

    #[test]
    fn what_is_a_minute_old_counts_no_more() {
        let sliding = Sliding::default();
        for second in 100..200 {
            sliding.request(at(second), second % 2 == 0);
            sliding.request(at(second), false);
        }
        sliding.connection(at(199), true);
        let expected = Minute { requests: 120, failed: 30, connections: 1, unconnected: 1 };
        assert_eq!(sliding.sum(at(199)), expected);
        assert_eq!(sliding.sum(at(229)).requests, 60);
        assert_eq!(sliding.sum(at(259)), Minute::default());
        sliding.request(at(10_000), true);
        assert_eq!(sliding.sum(at(10_000)), Minute { requests: 1, failed: 1, ..Minute::default() });
    }
}
