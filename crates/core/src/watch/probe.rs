//! What a probe looks at, as the configuration says it.

use super::Cadence;
use crate::{Secret, SiteName, StoreName};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// One way to look at an application, at each site that holds data.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub kind: ProbeKind,
    pub cadence: Cadence,
    /// Addresses of the link itself, where clouds keep the machine's own credentials, may be asked.
    pub link_local: bool,
}

/// `host:port` at each site.
pub type SiteAddresses = BTreeMap<SiteName, String>;

#[derive(Debug, Clone, PartialEq)]
pub enum ProbeKind {
    Http(HttpProbe),
    /// Passes when a connection is accepted.
    Tcp(SiteAddresses),
    Postgres(PostgresProbe),
    Redis(RedisProbe),
    Command(CommandProbe),
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpProbe {
    pub addresses: SiteAddresses,
    pub path: String,
    /// Which statuses pass.
    pub status: RangeInclusive<u16>,
    pub body: Option<BodyRule>,
    /// Over TLS, and the server's certificate is signed by this.
    pub authority: Option<PathBuf>,
}

/// What the first 64 KiB of an answer must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyRule {
    Contains(String),
    /// A regular expression.
    Matches(String),
}

/// A write that is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresProbe {
    pub store: StoreName,
    /// Where clients reach it, such as the gate; else the store's own endpoint.
    pub addresses: SiteAddresses,
    /// None: Mainstay's own user writes a heartbeat.
    pub client: Option<ClientWrite>,
}

/// What the application's own user commits.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientWrite {
    pub user: String,
    /// None at a site that may not hold it (a witness).
    pub password: Option<Secret>,
    pub statement: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RedisProbe {
    pub addresses: SiteAddresses,
    pub user: Option<String>,
    /// None at a site that may not hold it (a witness).
    pub password: Option<Secret>,
    /// Whether it needs one.
    pub guarded: bool,
    /// Whether a key may be set, which expires by itself.
    pub write: bool,
    pub authority: Option<PathBuf>,
}

/// A program without a shell; it passes when it ends with status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandProbe {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

impl Probe {
    /// Whether a witness can make it, which holds no credentials of the others.
    pub fn needs_credentials(&self) -> bool {
        match &self.kind {
            ProbeKind::Postgres(_) => true,
            ProbeKind::Redis(redis) => redis.guarded,
            ProbeKind::Http(_) | ProbeKind::Tcp(_) | ProbeKind::Command(_) => false,
        }
    }
}
