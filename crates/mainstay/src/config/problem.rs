//! What is wrong with a configuration file, where, and what to write instead.

use mainstay_core::Severity;
use std::ops::Range;

/// The documented codes: one page each in `docs/errors/`.
pub mod code {
    pub const UNREADABLE: &str = "MS-CFG-001";
    pub const NOT_TOML: &str = "MS-CFG-002";
    pub const UNKNOWN_KEY: &str = "MS-CFG-003";
    pub const WRONG_TYPE: &str = "MS-CFG-004";
    pub const BAD_VALUE: &str = "MS-CFG-005";
    pub const MISSING_KEY: &str = "MS-CFG-006";
    pub const UNKNOWN_SITE: &str = "MS-CFG-007";
    pub const WITNESS_WITH_DATA: &str = "MS-CFG-008";
    pub const SHARED_DATABASE: &str = "MS-CFG-009";
    pub const ADDRESS_TAKEN: &str = "MS-CFG-010";
    pub const OUT_OF_RANGE: &str = "MS-CFG-011";
    pub const NO_AUTOMATION: &str = "MS-CFG-012";
    pub const LITERAL_SECRET: &str = "MS-CFG-013";
    pub const SECRET_MISSING: &str = "MS-CFG-014";
    pub const TLS_FILE_MISSING: &str = "MS-CFG-015";
    pub const SITE_LEFT_OUT: &str = "MS-CFG-016";
    pub const SITE_NOT_CHOSEN: &str = "MS-CFG-017";
    pub const NO_SECOND_SITE: &str = "MS-CFG-018";
    pub const OBJECTIVE_OUT_OF_REACH: &str = "MS-CFG-019";
    pub const LOCKS_ITSELF_OUT: &str = "MS-CFG-020";
    pub const UNKNOWN_STORE: &str = "MS-CFG-021";
    pub const WEAK_COORDINATOR: &str = "MS-CFG-022";
    pub const UNKNOWN_GROUP: &str = "MS-CFG-031";
    pub const UNKNOWN_ZONE: &str = "MS-CFG-030";
    pub const NO_SECOND_PERSON: &str = "MS-CFG-023";
    pub const ONE_PERSON_TWICE: &str = "MS-CFG-024";
    pub const WEAK_TOKEN: &str = "MS-CFG-025";
    pub const PROBE_TOO_SLOW: &str = "MS-CFG-040";
    pub const LINK_LOCAL: &str = "MS-CFG-041";
    pub const COMMAND_NOT_ALLOWED: &str = "MS-CFG-042";
    pub const WITNESS_SEES_NOTHING: &str = "MS-CFG-043";
    pub const UNKNOWN_STEP: &str = "MS-RUN-010";
    pub const STEP_PLACE: &str = "MS-RUN-011";
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: &'static str,
    pub severity: Severity,
    /// The dotted place: `sites.east.agent`.
    pub place: String,
    /// Bytes of the file; none when the trouble is what the file lacks as a whole.
    pub span: Option<Range<usize>>,
    /// A sentence. It never holds the value of a secret.
    pub what: String,
    /// A few words for the caret.
    pub label: String,
    /// What to write or type instead.
    pub advice: String,
}

impl Problem {
    pub fn error(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            place: String::new(),
            span: None,
            what: what.into(),
            label: "here".to_owned(),
            advice: advice.into(),
        }
    }

    pub fn warning(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, what, advice) }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    #[must_use]
    pub fn span(mut self, span: impl Into<Option<Range<usize>>>) -> Self {
        self.span = span.into();
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Line and column of a byte, from 1; the column counts characters.
pub fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
