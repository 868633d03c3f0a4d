//! Why a command failed: what happened, and what to do next, under a documented code.

use crate::client::{ClientError, Way};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    pub code: String,
    pub what: String,
    pub advice: String,
}

/// Codes of the command line itself; those of the configuration are in `config::problem::code`.
pub mod code {
    pub const AGENT_SILENT: &str = "MS-CLI-001";
    pub const STRANGE_ANSWER: &str = "MS-CLI-002";
    pub const NOT_FOUND: &str = "MS-CLI-003";
    pub const WORTHLESS_VALUE: &str = "MS-CLI-004";
    pub const TOOLS_MISSING: &str = "MS-CLI-005";
    pub const NO_WAY: &str = "MS-CLI-006";
}

impl Failure {
    pub fn new(code: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.to_owned(), what: what.into(), advice: advice.into() }
    }

    /// An error of another crate: its text begins with its code, and may end with a line that
    /// says what to do.
    pub fn told(error: &impl std::fmt::Display) -> Self {
        let text = error.to_string();
        let (code, rest) = text
            .split_once(": ")
            .filter(|(code, _)| code.starts_with("MS-"))
            .unwrap_or((code::STRANGE_ANSWER, &text));
        match rest.rsplit_once("\n  ") {
            Some((what, advice)) => Self::new(code, what, advice),
            None => Self::new(code, rest, format!("docs/errors/{code}.md says more")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Silent { way, why } => match &*way {
                Way::Socket(socket) => silent(socket, &why),
                Way::Network(_) => silent_elsewhere(&way, &why),
            },
            ClientError::Strange { way, why } => Self::new(
                code::STRANGE_ANSWER,
                format!("the agent at {way} gave an answer that was not understood: {why}"),
                "compare `mainstay --version` with the `version` in `mainstay status --output json`: \
                 restart the agent after an update",
            ),
            ClientError::Refused(refusal) => {
                Self { code: refusal.code, what: refusal.message, advice: refusal.advice }
            }
        }
    }
}

fn silent(socket: &Path, why: &str) -> Failure {
    let folder = socket.parent().unwrap_or(Path::new(".")).display();
    Failure::new(
        code::AGENT_SILENT,
        format!("no agent answers at {}: {why}", socket.display()),
        format!(
            "start it: mainstay agent --config FILE --site SITE --state {folder}; or name the \
             folder of a running one with --state, or start the lab: mainstay lab up"
        ),
    )
}

fn silent_elsewhere(way: &Way, why: &str) -> Failure {
    Failure::new(
        code::AGENT_SILENT,
        format!("no agent answers at {way}: {why}"),
        "its site needs `people = ...` in the configuration; its certificate has to be of \
         --authority and name the host, or the site that --site names; when it refuses yours, its \
         log says why",
    )
}

/// Something that was named and is not there.
pub fn not_found(kind: &str, name: &str, list: &str) -> Failure {
    let what = format!("there is no {kind} `{name}` here");
    Failure::new(code::NOT_FOUND, what, format!("see what there is: {list}"))
}

/// An identifier as the agent gives it, safe in a path.
pub fn id(id: String) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !id.is_empty() && id.chars().all(plain) && !id.starts_with('.') {
        return Ok(id);
    }
    let advice = "copy it from `mainstay salvage list` or `mainstay executions`";
    Err(Failure::new(code::WORTHLESS_VALUE, format!("{id:?} is not an identifier"), advice))
}

/// Text that goes into the ledger: one line, not endless.
pub fn plain(text: String) -> Result<String, Failure> {
    if text.len() <= 500 && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let what = "the reason is longer than 500 bytes or holds control characters";
    Err(Failure::new(code::WORTHLESS_VALUE, what, "write one line"))
}
