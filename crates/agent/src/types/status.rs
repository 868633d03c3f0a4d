//! The status of every application, as one agent knows it.

use super::{EqualityView, Execution, NameView, PauseView, Problem, Return, WatchingView};
use crate::coordinator::etcd::Member;
use mainstay_core::{ApplicationName, Epoch, LinkStatus, SiteName, StoreName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub here: SiteName,
    pub version: String,
    #[serde(default)]
    pub coordinator: CoordinatorView,
    pub applications: Vec<ApplicationStatus>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationStatus {
    pub name: ApplicationName,
    pub epoch: Epoch,
    /// The site that holds the epoch; none before the first epoch, or while it is unknown.
    pub active: Option<SiteName>,
    /// Where the application belongs when all is well.
    #[serde(default)]
    pub home: Option<SiteName>,
    /// This agent's state: `active`, `standby`, `suspect`, `lease-wait`, `claiming`, `promoting`,
    /// `fenced`, `returning`, `witness`, `stuck`.
    pub state: String,
    /// Whether this site's gate lets the application write here now.
    pub serving: bool,
    /// Whether the coordinator answers this agent.
    pub coordinator: bool,
    /// When it last answered, once it is silent; microseconds since the Unix epoch.
    #[serde(default)]
    pub coordinator_silent_since_micros: Option<i64>,
    pub rto_s: f64,
    pub rpo_s: f64,
    pub links: Vec<LinkView>,
    pub sites: BTreeMap<SiteName, SiteView>,
    /// The execution under way, or else the last one.
    pub execution: Option<Execution>,
    /// Where this site's way back is, when it is on one.
    pub returning: Option<Return>,
    /// Of each store that a link brings to a standby.
    #[serde(default)]
    pub equality: Vec<EqualityView>,
    /// What readers are given at each site, of each store that has some.
    #[serde(default)]
    pub reads: Vec<ReadsView>,
    /// Set while no failover may begin by itself.
    #[serde(default)]
    pub pause: Option<PauseView>,
    /// Its names in DNS, as this site's agent sees them.
    #[serde(default)]
    pub names: Vec<NameView>,
    /// What the agents see of the sites.
    #[serde(default)]
    pub watching: WatchingView,
    /// What is wrong or waits for a person, the worst first, each with what to type next.
    pub problems: Vec<Problem>,
}

/// Whether a site's own database may be read by those that only read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadsView {
    pub store: StoreName,
    pub site: SiteName,
    /// How old what is read there may be by now; none when that is not known.
    pub age_s: Option<f64>,
    /// How old it may be at most.
    pub max_lag_s: f64,
    /// Why readers are led elsewhere; none when they are not.
    pub refused: Option<String>,
    /// Their open connections at the site's gate: answered by its own database.
    pub readers_here: u64,
    /// The same, answered by another.
    pub readers_away: u64,
}

/// Where agreement lives, as this agent reaches it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CoordinatorView {
    /// `embedded` or `etcd`.
    pub kind: String,
    /// The site that keeps it, when it is embedded.
    pub site: Option<SiteName>,
    /// Each member of etcd.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkView {
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    #[serde(flatten)]
    pub status: LinkStatus,
}

/// What is known of a site, from this agent's vantage and as told by the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteView {
    /// `healthy`, `unhealthy` (something answers, the application does not), `unreachable`,
    /// `unknown`.
    pub verdict: String,
    /// The evidence in words.
    pub why: String,
    pub witness: bool,
}
