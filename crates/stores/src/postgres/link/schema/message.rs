//! What the source's event triggers tell of one schema change (`ddl.sql`).

use mainstay_core::position::Lsn;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The prefix of the logical messages.
pub(super) const PREFIX: &str = "mainstay ddl";
/// Of the messages' content, as this program understands it.
pub(super) const VERSION: u32 = 1;

/// A schema change as it was made at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres::link) struct SchemaChange {
    /// Where the message is in the source's history: the name of this change for people.
    pub at: Lsn,
    pub told: Told,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::postgres::link) struct Told {
    pub version: u32,
    pub token: String,
    /// PostgreSQL's command tag: `ALTER TABLE`.
    pub tag: String,
    /// The user whose rights the statement had.
    pub role: String,
    pub settings: BTreeMap<String, String>,
    /// What the client sent, when it sent the statement itself; perhaps with others.
    #[serde(default)]
    pub query: Option<String>,
    /// Which of the client's statements with this tag it is, from 1.
    #[serde(default)]
    pub nth: usize,
    /// The functions that called the statement, innermost first, as PostgreSQL shows them.
    #[serde(default)]
    pub callers: Option<String>,
    /// Of the functions in SQL that have the innermost caller's name.
    #[serde(default)]
    pub bodies: Vec<String>,
    /// Why the target would not become the same.
    #[serde(default)]
    pub refusal: Option<String>,
    /// A column's type was changed, and the rows were written anew.
    #[serde(default)]
    pub retyped: bool,
    #[serde(default)]
    pub defaults: Vec<Defaults>,
    /// The rows that follow, up to `closes`, are written by the statement itself.
    #[serde(default)]
    pub opens: bool,
    #[serde(default)]
    pub closes: bool,
}

/// Columns of a table whose defaults are not the same at every time and place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::postgres::link) struct Defaults {
    pub schema: String,
    pub table: String,
    /// If new, each old row got a value of its own.
    pub unequal: Vec<String>,
    /// If new, all old rows got one value.
    pub filled: Vec<Filled>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::postgres::link) struct Filled {
    pub column: String,
    /// As SQL writes it.
    #[serde(rename = "type")]
    pub sql_type: String,
    /// As an array of one.
    pub value: String,
}

impl Told {
    /// Whether a backslash in a plain constant quotes the next character.
    pub fn backslashes(&self) -> bool {
        self.settings.get("standard_conforming_strings").is_some_and(|value| value == "off")
    }
}
