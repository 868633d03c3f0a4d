//! The clocks of this machine.
//!
//! In a simulation several agents share a thread and take turns on it. Whoever gives them their
//! turns says, with [`simulate`], what the clocks of the machine show whose turn it is. It is kept
//! beside the thread and not handed to each function, because a machine has one clock, too.

use mainstay_core::Tick;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

thread_local! {
    static SIMULATED: Cell<Option<Clocks>> = const { Cell::new(None) };
}

/// What a machine's clocks showed at an instant of the runtime's own clock.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    pub at: Instant,
    pub tick: Tick,
    pub unix_micros: i64,
}

impl Clocks {
    fn passed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.at)
    }
}

/// On this thread clocks go with the runtime's own from here on; none: the machine's real ones.
pub fn simulate(clocks: Option<Clocks>) {
    SIMULATED.set(clocks);
}

/// This moment, for decisions; see [`Tick`].
pub fn tick() -> Tick {
    match SIMULATED.get() {
        Some(clocks) => clocks.tick.plus(clocks.passed()),
        None => mainstay_traffic::tick::now(),
    }
}

/// Microseconds since the Unix epoch: for people and records, never for a decision.
pub fn unix_micros() -> i64 {
    match SIMULATED.get() {
        Some(clocks) => {
            let passed = i64::try_from(clocks.passed().as_micros()).unwrap_or(i64::MAX);
            clocks.unix_micros.saturating_add(passed)
        }
        None => jiff::Timestamp::now().as_microsecond(),
    }
}
