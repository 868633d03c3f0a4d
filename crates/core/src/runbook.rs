//! Runbooks: what a person adds to the built-in steps, and what an execution is asked.

use crate::{Secret, SiteName, StoreName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The runbooks that a person can add steps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunbookName {
    /// Away from a site that is lost.
    Failover,
    /// Planned, losing nothing.
    Switchover,
    /// A switchover to the application's home.
    Failback,
}

impl RunbookName {
    pub const ALL: [Self; 3] = [Self::Failover, Self::Switchover, Self::Failback];

    pub fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Failback => "failback",
        }
    }
}

impl fmt::Display for RunbookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a person's step stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Before(String),
    After(String),
    /// In its stead.
    Instead(String),
}

/// A step that a person wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnStep {
    pub place: Place,
    pub name: String,
    pub work: Work,
    pub settings: Settings,
    /// All that stands in the environment of its programs, besides what Mainstay tells them. It is
    /// not kept with an execution.
    pub environment: BTreeMap<String, Secret>,
}

/// How a step is made, whatever it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Steps of the same group that stand one after the other are made side by side.
    pub group: Option<String>,
    /// Only in moves to this site.
    pub to: Option<SiteName>,
    /// It is left out when one of these was not done.
    pub needs: Vec<String>,
    /// Each try has so long.
    pub timeout: Duration,
    /// How often it is made at most before a person is asked.
    pub tries: u32,
    /// From the first try to the second; it doubles with each.
    pub pause: Duration,
    /// The execution goes on without it.
    pub optional: bool,
}

/// What a person's step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    Run(Run),
    /// The same as `run`; setting a size twice is setting it once.
    Scale(Run),
    Http(Call),
    Repoint(Repoint),
    Warm(Warm),
    Verify(Check),
    Deploy(Deploy),
    Wait {
        span: Duration,
    },
    Approve {
        question: String,
    },
    Notify {
        message: String,
    },
}

/// A program of the conducting site's machine; no shell reads its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub command: Vec<String>,
    /// Says by its exit status whether the effect is there: 0 yes, 1 no, everything else unknown.
    pub probe: Vec<String>,
    pub undo: Vec<String>,
    /// It may be made again without looking.
    pub repeatable: bool,
}

/// A request over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub method: String,
    /// `host:port`
    pub address: String,
    pub path: String,
    pub body: Option<String>,
    /// Statuses that mean success, from and to.
    pub status: (u16, u16),
    /// Certificates that are trusted; without them it is not encrypted.
    pub authority: Option<PathBuf>,
    /// Whether addresses of the link itself may be asked.
    pub link_local: bool,
    /// It may be made again although nobody knows whether it arrived.
    pub repeatable: bool,
}

/// Variables of an environment file, for the application's processes to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repoint {
    pub file: String,
    pub variables: BTreeMap<String, String>,
    /// Has the application read it; safe to run twice. Empty: nobody has to be told.
    pub reload: Vec<String>,
}

/// What is asked so that it is asked for the first time before clients do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warm {
    /// A path a line.
    pub list: String,
    pub address: String,
    pub concurrency: u32,
    /// So many failures end it as failed.
    pub most_failures: u32,
}

/// Whether what clients need is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Http(Call),
    /// One value, read from the store at the conducting site in a transaction that cannot write.
    Sql {
        store: StoreName,
        query: String,
        expect: Option<String>,
        at_least: Option<u32>,
    },
}

/// Whether both sites have the same version of the application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deploy {
    /// Prints the version at the conducting site.
    pub version: Vec<String>,
    /// Prints the version that is to be there.
    pub wanted: Vec<String>,
}

impl Work {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Scale(_) => "scale",
            Self::Http(_) => "http",
            Self::Repoint(_) => "repoint",
            Self::Warm(_) => "warm",
            Self::Verify(_) => "verify",
            Self::Deploy(_) => "deploy",
            Self::Wait { .. } => "wait",
            Self::Approve { .. } => "approve",
            Self::Notify { .. } => "notify",
        }
    }
}
