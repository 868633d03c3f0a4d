//! The times of the lease, all derived from its length.

use crate::Tick;
use std::time::Duration;

/// The active site's right to accept writes, in numbers.
///
/// The active site stops at 0.4 of the lease after the last acknowledged renewal it *sent*; a
/// candidate waits the whole lease, and a margin, after the last change it *saw*. What a candidate
/// saw was sent before, so with clocks that run at nearly the same rate the two never overlap, and
/// no two clocks need to show the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    length: Duration,
}

impl Lease {
    pub const fn new(length: Duration) -> Self {
        Self { length }
    }

    pub const fn length(self) -> Duration {
        self.length
    }

    /// How often the active site renews.
    pub fn renew_every(self) -> Duration {
        (self.length / 10).min(Duration::from_secs(1))
    }

    /// Until when the active site may accept writes, by a renewal or a promise that it asked for
    /// at `sent`.
    pub fn serves_until(self, sent: Tick) -> Tick {
        sent.plus(self.length * 4 / 10)
    }

    /// When the watchdog of the site that served until `until` has its databases fenced: half a
    /// lease after what gave that right was sent.
    pub fn enforced_at(self, until: Tick) -> Tick {
        until.plus(self.length / 10)
    }

    /// When a candidate may act that last saw a change, or gave a promise, at `seen`.
    pub fn runs_out_at(self, seen: Tick) -> Tick {
        seen.plus(self.length + self.length / 50)
    }

    /// After how long without a renewal a candidate grows suspicious.
    pub fn suspicious_after(self) -> Duration {
        self.renew_every() * 3
    }

    /// How long one look at a site may take.
    pub fn look_timeout(self) -> Duration {
        self.renew_every() * 3 / 2
    }

    /// How old evidence may be to count: a look that began, the pause after it, the next look that
    /// times out, and the way of its result to the one who judges by it.
    pub fn fresh_for(self) -> Duration {
        self.renew_every() * 5
    }

    /// How long the active site's own write path may fail before it stops renewing.
    pub fn tolerates_unwritable_for(self) -> Duration {
        self.renew_every() * 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_site_stops_long_before_a_candidate_may_act() {
        for seconds in [3, 10, 300] {
            let lease = Lease::new(Duration::from_secs(seconds));
            let sent = Tick::from_millis(1_000);
            let gap = lease.runs_out_at(sent).since(lease.serves_until(sent));
            assert!(gap >= lease.length() / 2, "a clock may run at half the rate of another");
            let enforced = lease.enforced_at(lease.serves_until(sent));
            assert_eq!(enforced, sent.plus(lease.length() / 2));
        }
    }
}
