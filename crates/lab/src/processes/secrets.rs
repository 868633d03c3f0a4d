//! The passwords of one lab, made anew for each.

use super::folder::{Folder, write_private};
use crate::error::{Doing, LabError};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// Of PostgreSQL's first superuser, with which the lab looks at both databases.
    pub postgres: String,
    /// Of Mainstay's own superuser.
    pub mainstay: String,
    /// Of the owner of the bank's database.
    pub owner: String,
    /// Of the bank's application role.
    pub bank: String,
}

impl Secrets {
    pub fn make() -> Self {
        let password = || format!("{:032x}", rand::rng().random::<u128>());
        Self { postgres: password(), mainstay: password(), owner: password(), bank: password() }
    }

    pub fn save(&self, folder: &Folder) -> Result<(), LabError> {
        let text = serde_json::to_vec(self).doing(|| "write the passwords".to_owned())?;
        write_private(&folder.secrets(), &text)
    }

    pub fn load(folder: &Folder) -> Result<Self, LabError> {
        let path = folder.secrets();
        let text = std::fs::read(&path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).doing(|| format!("read {}", path.display()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(hidden)")
    }
}
