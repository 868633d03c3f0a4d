//! Why an agent could not start, or refuses a request.

use crate::types::ApiError;
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(
        "MS-AGENT-001: cannot use {path} for TLS: {why}; each site needs ca.pem, SITE.pem and \
         SITE.key, the certificate naming the site (subject alternative name) and not marked as an \
         authority"
    )]
    Tls { path: PathBuf, why: String },
    #[error(
        "MS-AGENT-002: cannot listen on {address}: {why}; another process may hold it (try `ss \
         -ltnp`), or the address is not this machine's"
    )]
    Listen { address: String, why: io::Error },
    #[error(
        "MS-AGENT-003: cannot keep state in {path}: {why}; the folder must exist, be writable by \
         this user and have free space"
    )]
    State { path: PathBuf, why: String },
    #[error(
        "MS-AGENT-004: cannot write to the ledger {path}: {why}; nothing automatic is begun until \
         it can"
    )]
    Ledger { path: PathBuf, why: String },
    #[error(
        "MS-AGENT-008: only {free_mib} MiB are free in {path}, and an agent needs {needed_mib} MiB \
         there for its journal, its ledger and salvage; free some space or name another folder \
         with --state"
    )]
    Space { path: PathBuf, free_mib: u64, needed_mib: u64 },
    #[error("MS-AGENT-005: the site {site} is not in the configuration's [sites]")]
    UnknownSite { site: String },
    #[error("MS-PEOPLE-008: cannot let people in: {why}; see [people] in the configuration")]
    People { why: String },
    #[error(transparent)]
    Alerts(#[from] mainstay_alerts::AlertsError),
    #[error("MS-AGENT-009: {site} is a witness: it has no databases, and needs no watchdog")]
    NothingToWatch { site: String },
}

/// Why something that a person or another agent asked for was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}; {advice}")]
pub struct Refused {
    pub code: Cow<'static, str>,
    pub what: String,
    pub advice: String,
}

impl From<ApiError> for Refused {
    /// As another agent refused it.
    fn from(ApiError { code, message, advice }: ApiError) -> Self {
        Self { code: Cow::Owned(code), what: message, advice }
    }
}

impl Refused {
    pub fn new(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), what: what.into(), advice: advice.into() }
    }

    pub fn to_api(&self) -> ApiError {
        ApiError {
            code: self.code.to_string(),
            message: self.what.clone(),
            advice: self.advice.clone(),
        }
    }
}
