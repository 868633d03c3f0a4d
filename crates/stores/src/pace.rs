//! How much of the servers' time a comparison takes.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the servers go. PostgreSQL: with their parallel workers.
    Full,
    /// By one session at each side, which rests after each part for as long as it took. PostgreSQL:
    /// only when the source gives a snapshot soon.
    Gentle,
}

/// A gentle comparison rests no longer than this after a part: a snapshot of PostgreSQL keeps old
/// rows from being cleaned away.
const LONGEST_REST: Duration = Duration::from_secs(10);

impl Pace {
    pub(crate) async fn rest(self, started: Instant) {
        if self == Pace::Gentle {
            tokio::time::sleep(started.elapsed().min(LONGEST_REST)).await;
        }
    }
}
