//! A Redis (or Valkey) store of an application.

use crate::{Secret, SiteName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct RedisStore {
    /// The application's ACL users: fenced as one with the site.
    pub users: Vec<String>,
    /// ACL users that only read, and may do so at every site.
    pub readers: Vec<String>,
    /// How old what they are answered through a gate may be.
    pub max_lag: Duration,
    /// Keys that match one of these glob patterns are not replicated (Redis, "KEYS": the same
    /// patterns).
    pub exclude: Vec<String>,
    /// How often a standby compares itself whole with the active site; none: never by itself.
    pub compare_every: Option<Duration>,
    pub endpoints: BTreeMap<SiteName, RedisEndpoint>,
}

/// One Redis server as Mainstay reaches it: as a user that may do everything.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisEndpoint {
    pub host: String,
    pub port: u16,
    /// None: Redis's own `default`.
    pub user: Option<String>,
    /// None at a site that may not hold it (a witness), or where the server asks for none.
    pub password: Option<Secret>,
    pub tls: RedisTls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisTls {
    Disable,
    /// Encrypted and the server's name verified against this authority.
    VerifyFull {
        authority: PathBuf,
    },
}
