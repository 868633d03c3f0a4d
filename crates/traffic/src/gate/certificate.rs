//! A certificate that clients see. It is read again when its files have changed: a renewed one
//! takes effect for new connections, and no connection is ended.

use super::error::GateError;
use super::peer::tls::server_without_clients;
use mainstay_core::estate::CertificateFiles;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub struct Certificate {
    files: CertificateFiles,
    /// What clients may speak, the first best (ALPN, RFC 7301).
    protocols: &'static [&'static [u8]],
    loaded: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    stamp: Stamp,
}

/// What changes when a file is replaced or written: size, inode and time of the last change.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Certificate {
    pub fn load(
        files: &CertificateFiles,
        protocols: &'static [&'static [u8]],
    ) -> Result<Self, GateError> {
        let stamp = stamp(files);
        let acceptor = server_without_clients(&files.certificate, &files.key, protocols)?;
        let loaded = Mutex::new(Loaded { acceptor, stamp });
        Ok(Self { files: files.clone(), protocols, loaded })
    }

    /// For one more connection. The old certificate stays while the files do not fit each other,
    /// as between the writing of the two.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.files);
        if stamp != loaded.stamp {
            // Told once for each change.
            loaded.stamp = stamp;
            self.read_again(&mut loaded.acceptor);
        }
        loaded.acceptor.clone()
    }

    /// The handshake with one client, which has so long for it.
    pub async fn accept(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(patience, self.acceptor().accept(stream)).await?
    }

    fn read_again(&self, acceptor: &mut TlsAcceptor) {
        let CertificateFiles { certificate, key } = &self.files;
        match server_without_clients(certificate, key, self.protocols) {
            Ok(new) => {
                *acceptor = new;
                tracing::info!(certificate = %certificate.display(), "the certificate is read again");
            }
            Err(error) => {
                tracing::warn!(code = "MS-GATE-022", %error, "the new certificate is not usable; the old one stays");
            }
        }
    }
}

fn stamp(files: &CertificateFiles) -> Stamp {
    let stamp = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.len(), file.ino(), file.ctime(), file.ctime_nsec()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}
