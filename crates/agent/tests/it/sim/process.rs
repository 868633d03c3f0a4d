//! One process of a simulated machine: a runtime of its own on this thread, whose clock stands
//! still until its machine's clock has gone on. All its timers go by that clock, so that a machine
//! with a fast clock is fast in everything; a process that is stopped is given no turn; one that
//! crashes loses its runtime, and every task of it ends where it waited.

use mainstay_agent::time::{Clocks, simulate};
use mainstay_core::Tick;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

pub struct Process {
    runtime: Runtime,
    origin: Instant,
    /// What the machine's clock showed at the origin, in milliseconds.
    born: u64,
    /// How far this process is, by the same clock.
    reached: u64,
}

impl Process {
    pub fn new(machine: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let origin = runtime.block_on(async { Instant::now() });
        Self { runtime, origin, born: machine, reached: machine }
    }

    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Lets it run until its machine's clock shows `machine`. One that had no turn for a while finds
    /// its clock late at once; timers that ran out meanwhile go off together.
    pub fn step(&mut self, machine: u64, usual: u64, wall_micros: i64) {
        simulate(Some(Clocks {
            at: self.origin,
            tick: Tick::from_millis(self.born),
            unix_micros: wall_micros + i64::try_from(self.born * 1000).unwrap_or(i64::MAX),
        }));
        let missed = machine.saturating_sub(self.reached + 2 * usual);
        let until = self.origin + Duration::from_millis(machine - self.born);
        self.runtime.block_on(async {
            if missed > 0 {
                tokio::time::advance(Duration::from_millis(missed)).await;
            }
            tokio::time::sleep_until(until).await;
        });
        self.reached = machine;
        simulate(None);
    }
}
