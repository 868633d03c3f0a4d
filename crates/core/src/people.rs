//! Who may do what, and how many people it takes to outweigh what protects the data.

use crate::{PersonName, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What a person may do. Each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks at everything, and changes nothing.
    Viewer,
    /// Compares, repairs, pauses, moves an application where nothing that protects it is outweighed.
    Operator,
    /// Gives the word that `failover = "approve"` waits for, and the second word to what is forced.
    Approver,
    /// All there is.
    Admin,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many people it takes to force a failover: to outweigh what would have kept the agents
/// themselves from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Force {
    /// An approver or an admin does it alone.
    One,
    /// One person asks for it, and another one approves.
    Two,
}

/// The people of the configuration, as one site sees them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct People {
    /// Signs people's certificates. Never the authority of the sites.
    pub authority: Option<PathBuf>,
    /// Whose members may open the agent's Unix socket.
    pub group: Option<String>,
    pub by_name: BTreeMap<PersonName, Person>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    pub role: Role,
    /// The Unix login.
    pub user: String,
    /// Read only at a site that takes people's connections over the network.
    pub token: Option<Secret>,
}
