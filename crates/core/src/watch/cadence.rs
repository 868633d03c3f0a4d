//! How often a probe is made, and what follows from it.

use crate::lease::Lease;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// From the beginning of one look to that of the next, unless the look takes longer.
    pub interval: Duration,
    pub timeout: Duration,
    /// So many looks in a row of the other outcome change what is concluded.
    pub threshold: u32,
}

impl Cadence {
    /// A single lost packet changes nothing, and a loss is noticed within half of the lease.
    pub fn of(lease: Lease) -> Self {
        Self { interval: lease.renew_every(), timeout: lease.look_timeout(), threshold: 2 }
    }

    /// How long a site can be lost before it is concluded: right after a look passed, the next ones
    /// begin, each takes all of its time, and the last of them counts.
    pub fn notices_within(self) -> Duration {
        let between = self.interval.max(self.timeout);
        self.interval + between * self.threshold.saturating_sub(1) + self.timeout
    }

    /// How old the newest look may be to count: it took its time, then the next one began and took
    /// its own, and a moment passed before it was judged.
    pub fn fresh_for(self, lease: Lease) -> Duration {
        self.interval + self.timeout * 2 + lease.renew_every()
    }
}
