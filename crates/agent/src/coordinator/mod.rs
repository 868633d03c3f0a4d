//! Where agreement lives: one record per application, changed only by compare-and-set.

mod embedded;
pub mod etcd;
pub mod remote;

pub use embedded::Embedded;
pub use etcd::Etcd;
pub use remote::Remote;

use mainstay_core::record::{Cause, Refusal};
use mainstay_core::{ApplicationName, Epoch, Record};
use serde::{Deserialize, Serialize};

/// A record is some hundred bytes for each store; what is larger is a mistake, and etcd takes no
/// more than 1.5 MiB in a request that names the old record and the new one.
pub const LARGEST_RECORD: usize = 256 << 10;

/// A record and its version. A change names both, because a coordinator that was restored from an
/// older copy gives its versions anew.
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
    /// Another change came first, and this one is not made; this is what stands.
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
    /// It answers, and does not do what it is asked to until a person has mended something.
    /// Nothing was changed.
    #[error("MS-COORD-004: the coordinator cannot be used: {0}")]
    Unusable(String),
}

/// The coordinator as this agent reaches it.
pub enum Coordinator {
    /// Kept by this very agent.
    Here(Embedded),
    /// Kept by another site's agent.
    There(Remote),
    /// Kept by the members of etcd.
    Etcd(Etcd),
}

impl Coordinator {
    /// The newest record: no change that was acknowledged before it was asked for is missing.
    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        match self {
            Self::Here(embedded) => embedded.read(application).await,
            Self::There(remote) => remote.read(application).await,
            Self::Etcd(etcd) => etcd.read(application).await,
        }
    }

    /// Replaces exactly `expected` by `next`. When it returns `Done`, the change was made after
    /// the call began, and survives a crash of the coordinator.
    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: &Versioned,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        match self {
            Self::Here(embedded) => embedded.swap(application, expected, next).await,
            Self::There(remote) => remote.swap(application, expected, next).await,
            Self::Etcd(etcd) => etcd.swap(application, expected, next).await,
        }
    }
}

/// The text of `next`, if it may follow `current`.
fn written(current: Option<&Record>, next: &Record) -> Result<String, CoordinatorError> {
    allowed(current, next).map_err(|why| CoordinatorError::Refused(why.to_string()))?;
    let refused = |why: String| CoordinatorError::Refused(why);
    let text = serde_json::to_string(next).map_err(|why| refused(why.to_string()))?;
    if text.len() > LARGEST_RECORD {
        let size = text.len();
        return Err(refused(format!("a record of {size} bytes, more than {LARGEST_RECORD}")));
    }
    Ok(text)
}

fn allowed(current: Option<&Record>, next: &Record) -> Result<(), Refusal> {
    match current {
        Some(current) => current.allows(next),
        None if next.epoch == Epoch::new(1) && next.cause == Cause::Initial => Ok(()),
        None => Err(Refusal::NotFirst),
    }
}
