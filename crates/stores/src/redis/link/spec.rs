//! What a link is told.

use mainstay_core::estate::RedisEndpoint;
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};

/// One direction of replication of one store. It runs at the site `to`.
#[derive(Debug, Clone)]
pub struct LinkSpec {
    pub application: ApplicationName,
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    pub source: RedisEndpoint,
    pub target: RedisEndpoint,
    /// The link's record is written under this epoch; a target that has seen a newer one refuses.
    pub epoch: Epoch,
    /// Keys that match one of these glob patterns are not replicated.
    pub exclude: Vec<String>,
    /// Users that only read, who must not see the target while it is being copied to.
    pub readers: Vec<String>,
    /// A target that has keys and no record of this link may be emptied for the first copy. What
    /// only it has must have been kept before.
    pub replace: bool,
}

/// Keys of Mainstay's own begin so, in database 0. No link replicates, removes or overwrites them.
pub const OWN_KEYS: &str = "mainstay:";

impl LinkSpec {
    pub fn name(&self) -> String {
        format!("{}/{}/{}->{}", self.application, self.store, self.from, self.to)
    }

    /// The key at the target with the link's position.
    pub fn record(&self) -> String {
        format!("{OWN_KEYS}link:{}", self.name())
    }
}
