//! Time as the decision sees it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds of this machine's `CLOCK_BOOTTIME`: it never jumps, goes on while the machine is
/// suspended, and is the same in every process of one machine. Two machines' ticks are never
/// compared.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tick(u64);

impl Tick {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Tick {
        Tick(self.0.saturating_add(duration.as_millis().try_into().unwrap_or(u64::MAX)))
    }
}
