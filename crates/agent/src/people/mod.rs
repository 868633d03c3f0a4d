//! Who asks an agent for something: how a person is known, what each may do, and what takes two.

mod certificate;
pub mod door;
pub mod guard;
pub mod register;
pub mod requests;

use crate::error::Refused;
use mainstay_core::people::Role;
use serde::{Deserialize, Serialize};

/// A person as the agent that was asked knows them. Agents pass it on to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    pub name: String,
    pub role: Role,
    pub by: Proof,
}

/// How the person was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Root, or the user that runs the agent: the agent's state is theirs.
    Owner,
    /// The Unix user, as the kernel tells it.
    User { uid: u32 },
    /// The hash of the certificate's public key.
    Certificate { key: String },
    /// No two people have the same one.
    Token,
}

impl Asker {
    /// A reason that is kept with the data, with whose it is.
    pub fn signs(&self, reason: &str) -> String {
        match reason {
            "" => self.name.clone(),
            reason => format!("{}: {reason}", self.name),
        }
    }

    /// Whether both may be one person: then one of them cannot approve what the other asked for.
    /// Root and the user that runs the agent are one.
    pub fn may_be(&self, other: &Asker) -> bool {
        self.name == other.name || (self.by == other.by && self.by != Proof::Token)
    }
}

/// Why somebody's role does not suffice, and who could do it.
pub fn too_little(Asker { name, role, .. }: &Asker, least: Role) -> Refused {
    let article = |role: Role| match role {
        Role::Viewer => "a",
        Role::Operator | Role::Approver | Role::Admin => "an",
    };
    Refused::new(
        "MS-PEOPLE-003",
        format!("{name} is {} {role}, and this takes {} {least}", article(*role), article(least)),
        format!(
            "ask {} {least} to do it; or have an admin write `role = \"{least}\"` for [people] \
             {name} at every site, and send the agents SIGHUP",
            article(least)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_login_owner_or_key_is_the_same_person_whatever_else_differs() {
        let asker = |name: &str, by: Proof| Asker { name: name.into(), role: Role::Admin, by };
        let key = |key: &str| Proof::Certificate { key: key.into() };
        let same = [
            (asker("ana", Proof::Token), asker("ana", Proof::User { uid: 7 })),
            (asker("ana", Proof::User { uid: 7 }), asker("ben", Proof::User { uid: 7 })),
            (asker("root", Proof::Owner), asker("mainstay", Proof::Owner)),
            (asker("ana", key("k")), asker("ben", key("k"))),
        ];
        for (one, other) in same {
            assert!(one.may_be(&other) && other.may_be(&one), "{one:?} {other:?}");
        }
        let others = [
            (asker("ana", Proof::Token), asker("ben", Proof::Token)),
            (asker("ana", Proof::User { uid: 7 }), asker("ben", Proof::User { uid: 8 })),
            (asker("ana", key("k")), asker("ben", key("l"))),
            (asker("root", Proof::Owner), asker("ben", key("l"))),
        ];
        for (one, other) in others {
            assert!(!one.may_be(&other) && !other.may_be(&one), "{one:?} {other:?}");
        }
    }
}
