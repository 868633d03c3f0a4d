//! What a link is told.

use mainstay_core::estate::{Durability, PostgresEndpoint};
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};
use std::path::PathBuf;

/// One direction of replication of one store. It runs at the site `to`.
#[derive(Debug, Clone)]
pub struct LinkSpec {
    pub application: ApplicationName,
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    pub source: PostgresEndpoint,
    pub target: PostgresEndpoint,
    /// Every position is written under this epoch; a target that has seen a newer one refuses.
    pub epoch: Epoch,
    pub durability: Durability,
    /// Where transactions that are too large for memory are kept until they are applied.
    pub spool: PathBuf,
    /// The folder of `pg_dump` and `pg_restore`, for the first copy of the tables' definitions.
    pub tools: PathBuf,
}

impl LinkSpec {
    /// The key of `mainstay.link` at the target.
    pub fn name(&self) -> String {
        format!("{}/{}/{}->{}", self.application, self.store, self.from, self.to)
    }

    /// The replication slot at the source.
    pub fn slot(&self) -> String {
        slot_name(&self.application, &self.store, &self.to)
    }

    /// What the target's server calls the applying session. It keeps 63 bytes of it, so that a
    /// digest comes before the long names.
    pub(super) fn apply_session(&self) -> String {
        let digest = blake3::hash(self.name().as_bytes()).to_hex();
        format!("apply {} {}", &digest[..8], self.slot())
    }
}

/// The slot that holds a store's changes for one target site. Slot names have lower-case letters,
/// digits and underscores only.
pub fn slot_name(application: &ApplicationName, store: &StoreName, to: &SiteName) -> String {
    format!("mainstay_{application}_{store}_{to}").replace('-', "_")
}
