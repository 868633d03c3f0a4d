//! The clocks of this machine.

pub use mainstay_traffic::tick::now as tick;

/// Microseconds since the Unix epoch: for people and records, never for a decision.
pub fn unix_micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
