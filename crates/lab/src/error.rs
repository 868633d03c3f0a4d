//! What can go wrong in the lab itself. Each has a page in `docs/errors/`.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(
        "MS-LAB-001: there is no PostgreSQL 17 or newer in {} or /usr/lib/postgresql\n  type: make parts",
        looked_in.display()
    )]
    NoPostgres { looked_in: PathBuf },
    #[error("MS-LAB-002: {what} did not start within {seconds} s: {why}\n  look at: {}", log.display())]
    NotUp { what: String, seconds: u64, why: String, log: PathBuf },
    #[error("MS-LAB-003: cannot {what}: {source}")]
    System { what: String, source: std::io::Error },
    #[error("MS-LAB-004: no lab is up\n  type: mainstay lab up")]
    NoLab,
    #[error("MS-LAB-005: a lab is up already, in {}\n  type: mainstay lab down", .0.display())]
    AlreadyUp(PathBuf),
    #[error("MS-LAB-006: the lab has no site {given:?}; there are: {sites}")]
    NoSite { given: String, sites: String },
    #[error("MS-LAB-007: the agent at {site} said: {message}\n  {advice}")]
    Agent { site: String, message: String, advice: String },
    #[error("MS-LAB-008: {what} did not happen within {seconds} s; last seen: {seen}\n  look at: {}", logs.display())]
    NotSeen { what: String, seconds: u64, seen: String, logs: PathBuf },
    #[error("MS-LAB-009: the database at {site} answered the lab: {source}\n  look at: {}", log.display())]
    Database { site: String, source: tokio_postgres::Error, log: PathBuf },
    #[error("MS-LAB-010: the lab was interrupted; everything it started has been ended")]
    Interrupted,
    #[error("MS-LAB-011: {option} cannot be {given}: {why}")]
    Option { option: &'static str, given: String, why: String },
    #[error("MS-LAB-012: the lab could not make the sites' certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error(
        "MS-LAB-013: there is no etcd in {} or /usr/bin\n  type: scripts/parts.sh etcd",
        looked_in.display()
    )]
    NoEtcd { looked_in: PathBuf },
    #[error(
        "MS-LAB-015: there are no DNS servers in {}\n  type: scripts/parts.sh dns",
        looked_in.display()
    )]
    NoDns { looked_in: PathBuf },
    #[error(
        "MS-LAB-014: the lab cannot give each site a network of its own: `{command}`: {why}\n  \
         type, as root: scripts/parts.sh network"
    )]
    Spaces { command: String, why: String },
}

/// For `?` on I/O: says what was being done.
pub trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::System { what: what(), source: source.into() })
    }
}
