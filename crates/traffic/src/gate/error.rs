//! What keeps a gate from running.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(
        "MS-GATE-001: cannot listen on {address}, the {listener}: {source}. {}",
        advice(*.address, .source)
    )]
    Bind { address: SocketAddr, listener: String, source: io::Error },

    #[error("MS-GATE-002: {path}: {problem}. {advice}")]
    Tls { path: PathBuf, problem: String, advice: String },

    #[error(
        "MS-GATE-003: {place}: {problem}. Add it to the configuration, or run the gate of another site"
    )]
    Incomplete { place: String, problem: String },

    #[error(
        "MS-GATE-004: {path}: {source}. The gate keeps the highest epoch it has seen there and \
         does not run without it; mend the folder's rights or the disk, and start it again"
    )]
    Epoch { path: PathBuf, source: io::Error },

    #[error(
        "MS-GATE-007: cannot write the access log {path}: {source}. Make its folder, writable for \
         this user, or name another file"
    )]
    Log { path: PathBuf, source: io::Error },

    #[error(
        "MS-GATE-008: cannot take over from the gate that runs: {0}. It goes on; look at its log \
         and at `mainstay status`, then start this one again, or stop that one first"
    )]
    Handover(io::Error),
}

impl GateError {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        match self {
            GateError::Bind { .. } => "MS-GATE-001",
            GateError::Tls { .. } => "MS-GATE-002",
            GateError::Incomplete { .. } => "MS-GATE-003",
            GateError::Epoch { .. } => "MS-GATE-004",
            GateError::Log { .. } => "MS-GATE-007",
            GateError::Handover(_) => "MS-GATE-008",
        }
    }
}

fn advice(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Another process has the port: find it with `ss -ltnp 'sport = :{port}'` and stop it, \
             or give the gate another port"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "Ports below 1024 need a right: use a higher port than {port}, or give the process \
             CAP_NET_BIND_SERVICE"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "This machine does not have the address {}: see `ip address`, or use 0.0.0.0",
            address.ip()
        ),
        _ => "Give the gate another address".to_owned(),
    }
}
