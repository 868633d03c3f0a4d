//! What the clients of a gate see, beside what probes see.

use serde::{Deserialize, Serialize};

/// Fewer say nothing.
const ENOUGH: u64 = 20;
/// One in so many that fail is too many.
const ONE_IN: u64 = 10;

/// What came of the clients' requests and connections at one gate within the last minute. Requests
/// of its health path are not among them: probes make those.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// HTTP requests that were answered or given up.
    pub requests: u64,
    /// Those of them that were answered with 5xx, by the application or by the gate.
    pub failed: u64,
    /// Database connections that clients asked for.
    pub connections: u64,
    /// Those of them that the gate could not make.
    pub unconnected: u64,
}

impl Minute {
    /// Enough clients fail to say that something is wrong, whatever probes say.
    pub fn is_bad(&self) -> bool {
        let bad = |all: u64, failed: u64| all >= ENOUGH && failed * ONE_IN >= all;
        bad(self.requests, self.failed) || bad(self.connections, self.unconnected)
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failed: self.failed + other.failed,
            connections: self.connections + other.connections,
            unconnected: self.unconnected + other.unconnected,
        }
    }
}
