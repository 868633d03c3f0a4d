//! The proof of a fence.

use crate::{Epoch, Position, SiteName};
use serde::{Deserialize, Serialize};

/// How it is known that a fenced site accepts no more writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Confirmation {
    /// The fenced database itself said so after its sessions were cut.
    Database { sessions_cut: u32, position: Option<Position> },
    /// The site's gate said that it is closed.
    Gate { connections_cut: u64 },
    /// The whole lease passed, on the candidate's own clock, since the last renewal it saw.
    LeaseRunOut { waited_ms: u64 },
    /// The active site gave its right back itself.
    Released,
}

/// What was done to make sure that a site can no longer accept writes, by whom, and how that was
/// confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The site that can no longer accept writes.
    pub fenced: SiteName,
    /// The highest epoch at which it could have accepted one.
    pub epoch: Epoch,
    /// The site whose agent made the fence.
    pub by: SiteName,
    pub confirmed: Vec<Confirmation>,
}
