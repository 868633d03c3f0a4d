//! The resolved configuration: what the one file means, as one site sees it.

mod dns;
mod redis;
mod tcp;
mod web;

pub use dns::{
    AwsAccess, AwsKey, Azure, AzureAccess, Cloudflare, DnsKind, DnsZone, Network, OwnServer,
    Policy, PublishedName, Route53, TsigAlgorithm, TsigKey,
};
pub use redis::{RedisEndpoint, RedisStore, RedisTls};
pub use tcp::{CertificateFiles, ClientTls, TcpOptions};
pub use web::{AccessLog, GroupRules, UpstreamGroup, WebLimits, WebOptions, WebRoute, WebTls};

use crate::notifier::Notifier;
use crate::people::{Force, People};
use crate::runbook::{OwnStep, RunbookName};
use crate::watch::Probe;
use crate::{ApplicationName, NotifierName, ProbeName, Secret, SiteName, StoreName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// All that Mainstay looks after.
#[derive(Debug, Clone, PartialEq)]
pub struct Estate {
    /// The site whose view this is; its secrets and those of the stores it must reach are read.
    pub here: SiteName,
    pub sites: BTreeMap<SiteName, Site>,
    pub coordinator: CoordinatorPlace,
    pub tls: TlsFiles,
    /// Zones that the applications' names stand in.
    pub dns: BTreeMap<String, DnsZone>,
    /// None where the configuration names nobody: then whoever may open an agent's socket is its
    /// owner.
    pub people: Option<People>,
    pub applications: BTreeMap<ApplicationName, Application>,
    /// Who is told, by its name.
    pub alerts: BTreeMap<NotifierName, Notifier>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// A witness votes, holds no data and no credentials of the others.
    pub witness: bool,
    /// Where this site's agent is reached by the others, over mutual TLS: `host:port`.
    pub agent: String,
    /// Where this site's agent takes people's connections over the network.
    pub people: Option<SocketAddr>,
}

/// Where agreement lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoordinatorPlace {
    /// In the local store of this site's agent.
    Embedded { site: SiteName },
    /// In a cluster of etcd members.
    Etcd(Etcd),
}

/// A cluster of etcd members as every agent reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// Where its members take requests, in the order in which they are tried.
    pub endpoints: Vec<EtcdEndpoint>,
    /// Before the application's name in each key.
    pub prefix: String,
    /// The authority that signed the members' certificates; with `https` only.
    pub authority: Option<PathBuf>,
    /// Certificate and key that this agent shows them.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub user: Option<EtcdUser>,
}

/// `https://host:port` or `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdEndpoint {
    pub encrypted: bool,
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUser {
    pub name: String,
    /// None where nobody talks to etcd (a gate).
    pub password: Option<Secret>,
}

impl fmt::Display for EtcdEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Files of this site's agent: the authority that all sites trust, and its own certificate, whose
/// subject alternative name is the site's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    pub name: ApplicationName,
    /// The site that is active in epoch 1, and that failback leads to.
    pub home: SiteName,
    pub failover: FailoverMode,
    pub force: Force,
    /// How long a request for a second person's approval stands.
    pub approvals_expire: Duration,
    pub objectives: Objectives,
    pub lease: Duration,
    /// How long after an automatic failover no second one starts.
    pub cool_down: Duration,
    /// How the other sites stop one, in the order in which it is tried.
    pub fencing: BTreeMap<SiteName, Vec<FenceMeans>>,
    /// For how long a site must not have renewed before it is stopped from outside.
    pub fence_after: Duration,
    pub stores: BTreeMap<StoreName, Store>,
    pub gates: BTreeMap<SiteName, Gate>,
    /// What a person added to the built-in runbooks, in the order of the file.
    pub runbooks: BTreeMap<RunbookName, Vec<OwnStep>>,
    /// Names that answer with the active site's addresses.
    pub names: BTreeMap<String, PublishedName>,
    /// How every agent looks at the application; none when only the sites' agents speak for it.
    pub probes: BTreeMap<ProbeName, Probe>,
}

/// Programs that stop a whole site, and that tell whether it is stopped. `{site}`, `{epoch}` and
/// `{application}` in an argument stand for what they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceMeans {
    /// Program and arguments; no shell reads them.
    pub command: Vec<String>,
    pub confirm: Vec<String>,
    /// What `confirm` must print; none: its exit status says all.
    pub expect: Option<String>,
    /// Each of the two has so long.
    pub timeout: Duration,
    /// All that stands in their environment.
    pub environment: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverMode {
    /// The agents act by themselves when every condition holds.
    Automatic,
    /// The agents prepare and ask; a person starts it.
    Approve,
    /// Nothing starts and nothing is proposed.
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objectives {
    /// Longest time without service.
    pub rto: Duration,
    /// Longest span of acknowledged work that may be lost.
    pub rpo: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    pub name: StoreName,
    pub kind: StoreKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StoreKind {
    Postgres(PostgresStore),
    Redis(RedisStore),
}

#[derive(Debug, Clone, PartialEq)]
pub struct PostgresStore {
    /// The application's roles: fenced as one with the site.
    pub roles: Vec<String>,
    /// Roles that only read, and may do so at every site.
    pub readers: Vec<String>,
    /// How old what they are answered through a gate may be.
    pub max_lag: Duration,
    /// What may be done with salvaged rows, by `schema.table`; others are `Ask`.
    pub salvage: BTreeMap<String, SalvageRule>,
    pub durability: Durability,
    /// How often a standby compares itself whole with the active site; none: never by itself.
    pub compare_every: Option<Duration>,
    pub endpoints: BTreeMap<SiteName, PostgresEndpoint>,
}

/// When what a link applies is on the target's disk. The source is told of nothing that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// With each commit at the target.
    EachCommit,
    /// Several times a second, for many commits together: a target that crashes goes on from where
    /// it was durable.
    Together,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SalvageRule {
    /// Inserted rows are inserted again at the active site, by the application's own rules
    /// (triggers fire); updates and deletes are kept for a person.
    ReplayInserts,
    /// Kept in the salvage, never replayed: the active site's rows stand. For what the replayed
    /// rows' own triggers write again.
    Keep,
    /// A person decides.
    Ask,
}

/// One PostgreSQL database as Mainstay reaches it: as a superuser.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresEndpoint {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    /// None at a site that may not hold it (a witness).
    pub password: Option<Secret>,
    pub tls: PostgresTls,
}

/// As libpq's `sslmode` (PostgreSQL manual, "SSL Support").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresTls {
    Disable,
    /// Encrypted and the server's name verified against this authority.
    VerifyFull {
        authority: PathBuf,
    },
}

/// The proxy of one site, through which the application's requests and connections go.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    pub http: Option<HttpGate>,
    /// Where the application's clients connect for each store.
    pub stores: BTreeMap<StoreName, SocketAddr>,
    /// Where those connect that only read.
    pub reads: BTreeMap<StoreName, SocketAddr>,
    pub tcp: TcpOptions,
    /// Where this gate takes connections that the other sites' gates pass on, over mutual TLS.
    pub peer_listen: SocketAddr,
    /// The same, as the other sites reach it: `host:port`.
    pub peer: String,
    /// How long a request or a connection is held during a switch.
    pub hold: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpGate {
    pub listen: SocketAddr,
    /// The same, as other sites' agents reach it to probe it: `host:port`.
    pub address: String,
    /// The application's processes at this site: `host:port`.
    pub upstreams: Vec<String>,
    /// Path whose 2xx answer means that the application works here.
    pub health: String,
    pub options: WebOptions,
}
