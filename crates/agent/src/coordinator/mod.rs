//! Where agreement lives: one record per application, changed only by compare-and-set.

mod embedded;
pub mod remote;

pub use embedded::Embedded;
pub use remote::Remote;

use mainstay_core::{ApplicationName, Record};
use serde::{Deserialize, Serialize};

/// A record and the version that a change of it must name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versioned {
    /// Rises with every change; 0 while there is no record.
    pub version: u64,
    pub record: Option<Record>,
}

/// What came of a compare-and-set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Swap {
    /// The change is durable, with this version.
    Done { version: u64 },
    /// Another change came first; this is what stands.
    Conflict { current: Versioned },
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum CoordinatorError {
    /// Whether a change was made is unknown.
    #[error("MS-COORD-001: the coordinator does not answer: {0}")]
    Silent(String),
    /// The change was not made: it breaks a rule of the record.
    #[error("MS-COORD-002: the coordinator refused a change: {0}")]
    Refused(String),
}

/// The coordinator as this agent reaches it.
pub enum Coordinator {
    /// Kept by this very agent.
    Here(Embedded),
    /// Kept by another site's agent.
    There(Remote),
}

impl Coordinator {
    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        match self {
            Self::Here(embedded) => embedded.read(application).await,
            Self::There(remote) => remote.read(application).await,
        }
    }

    /// Replaces the record of version `expected` by `next`. When it returns `Done`, the change
    /// survives a crash of the coordinator.
    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: u64,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        match self {
            Self::Here(embedded) => embedded.swap(application, expected, next).await,
            Self::There(remote) => remote.swap(application, expected, next).await,
        }
    }
}
