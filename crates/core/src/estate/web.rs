//! What a gate's web side does besides passing requests on.

use super::CertificateFiles;
use crate::{GroupName, SiteName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// With nothing set: plain HTTP to the one group of upstreams.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebOptions {
    pub tls: Option<WebTls>,
    /// How the upstreams that no group names are treated.
    pub rules: GroupRules,
    pub groups: BTreeMap<GroupName, UpstreamGroup>,
    /// Which requests go to a group; all others go to the upstreams that no group names.
    pub routes: Vec<WebRoute>,
    /// Each site's share of the requests that only read. Empty: all go to the active site.
    pub weights: BTreeMap<SiteName, u32>,
    pub limits: WebLimits,
    pub log: Option<AccessLog>,
}

/// TLS with clients, terminated by the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTls {
    pub files: CertificateFiles,
    /// What signed it, for whoever probes the gate.
    pub authority: PathBuf,
}

/// Processes that answer the same requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamGroup {
    /// `host:port`.
    pub upstreams: Vec<String>,
    pub rules: GroupRules,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRules {
    /// Path whose 2xx answer means that the process takes requests; None: only failures tell.
    pub check: Option<String>,
    /// Name of the cookie by which a client comes back to the same process.
    pub sticky: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRoute {
    /// A host, or `*.` and a domain; None: any.
    pub host: Option<String>,
    /// Whole segments at the path's beginning.
    pub path: String,
    pub group: GroupName,
}

/// Bounds on what clients can make the gate do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebLimits {
    pub connections: usize,
    /// Bytes of one request's head.
    pub head: usize,
    /// Fields of one request's head.
    pub headers: usize,
    pub head_time: Duration,
    /// Between two requests of a connection.
    pub idle_time: Duration,
    /// Bytes of one request's body.
    pub body: Option<u64>,
    /// Between two pieces of a request's body.
    pub body_idle: Duration,
    /// From a request's arrival at an upstream to its answer's head.
    pub answer_time: Option<Duration>,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: 64 * 1024,
            headers: 100,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body: None,
            body_idle: Duration::from_secs(60),
            answer_time: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    pub file: PathBuf,
    /// Whether query strings are written: they often hold secrets.
    pub queries: bool,
}
