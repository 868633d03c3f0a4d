//! How the application's clients connect to stores through a gate.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpOptions {
    pub tls: ClientTls,
    /// After this long a connection is ended at the next moment at which that loses nothing.
    pub max_age: Option<Duration>,
}

/// Encryption between clients and the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientTls {
    /// There is none.
    #[default]
    Decline,
    /// Clients and server encrypt between themselves, and the gate understands nothing of it.
    Through,
    /// The gate shows this certificate.
    Terminate(CertificateFiles),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}
