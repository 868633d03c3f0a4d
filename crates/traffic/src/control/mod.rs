//! The line between a site's agent and its gate: JSON lines over a Unix socket in the state
//! folder. The agent listens, the gate connects and connects again; a gate that hears nothing
//! lapses by itself, so neither side needs the other to be well.

pub mod client;
pub mod server;

pub use server::{ControlError, ControlServer};

pub use mainstay_core::Posture;
use mainstay_core::watch::Minute;
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName, Tick};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the line of the site with this state folder is.
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join("gate.sock")
}

/// What the agent wants of its gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// Rises with every directive of one agent process; a report names the last one applied.
    pub seq: u64,
    pub application: ApplicationName,
    pub epoch: Epoch,
    pub posture: Posture,
    /// Sites that the agent does not reach; names whose answers go by weight or by network leave
    /// them out.
    #[serde(default)]
    pub away: BTreeSet<SiteName>,
    /// Until when this site's databases may be read by those that only read; null: not any more. Of
    /// a store that is not named, what was said before holds.
    #[serde(default)]
    pub reads: BTreeMap<StoreName, Option<Tick>>,
}

/// What the gate says of itself: after every directive, at least every 500 ms, and at once when
/// `drained` changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `seq` of the last directive applied; 0 before the first.
    pub seq: u64,
    pub application: ApplicationName,
    /// The highest epoch the gate has seen. Higher than a directive's: that one was ignored.
    pub epoch: Epoch,
    /// What the gate does now: `closed` also when a posture's time ran out.
    pub posture_name: String,
    /// The last posture's time ran out with no newer directive.
    pub lapsed: bool,
    /// HTTP requests being answered, here or by the active site's gate.
    pub http_in_flight: u64,
    /// HTTP requests waiting for a change of posture.
    pub http_held: u64,
    /// Open database connections that clients made.
    pub connections: u64,
    /// Those of them that are not idle outside a transaction.
    pub in_transaction: u64,
    /// Open connections of readers to this site's own database.
    #[serde(default)]
    pub readers_here: u64,
    /// Those of readers that were led to another site's.
    #[serde(default)]
    pub readers_away: u64,
    /// Database connections this gate ended, since it started.
    pub cut: u64,
    /// HTTP requests that an upstream answered, since the gate started.
    pub served: u64,
    /// Directives ignored because their epoch was stale, since the gate started.
    pub ignored: u64,
    /// What came of the clients' requests and connections in the last minute.
    #[serde(default)]
    pub minute: Minute,
    /// The gate does not serve, no request is in flight to this site's upstreams, and no
    /// connection to this site's database is open.
    pub drained: bool,
}
