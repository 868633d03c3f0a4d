//! The user that PostgreSQL runs as: its servers refuse to run as root.

use crate::error::{Doing, LabError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Someone other than root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerUser {
    pub uid: u32,
    pub gid: u32,
}

/// Users that are good for nothing else, the best first; `nobody` is on every machine.
const CANDIDATES: [&str; 3] = ["postgres", "mainstay-test", "nobody"];

impl ServerUser {
    /// None when the lab itself does not run as root: then PostgreSQL runs as the same user.
    pub fn choose() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let known = |name| nix::unistd::User::from_name(name).ok().flatten();
        let user = CANDIDATES.into_iter().find_map(known)?;
        Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    pub fn own(self, path: &Path) -> Result<(), LabError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .doing(|| format!("hand {} to PostgreSQL's user", path.display()))
    }
}
