//! What a check found.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; nothing has to be done.
    Note,
    /// Works, but something a person relies on does not hold.
    Warning,
    /// Must be mended before Mainstay touches anything.
    Error,
}

/// One thing that a check found: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    /// A documented error code such as `MS-PG-003`.
    pub code: String,
    /// Where: `applications.bank.stores.db.endpoints.west`, or a table's name.
    pub place: String,
    /// What is the matter, as a sentence.
    pub what: String,
    /// What to type or write next.
    pub advice: String,
}

impl Finding {
    pub fn error(
        code: &str,
        place: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code: code.to_owned(),
            place: place.into(),
            what: what.into(),
            advice: advice.into(),
        }
    }

    pub fn warning(
        code: &str,
        place: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, what, advice) }
    }
}
