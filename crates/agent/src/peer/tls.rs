//! Certificates of the agents. An agent is its certificate's subject alternative name: the site's
//! name. Both ends verify the other against the one authority of the configuration.

use crate::error::AgentError;
use mainstay_core::SiteName;
use mainstay_core::estate::TlsFiles;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;

pub struct Identity {
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
}

impl Identity {
    pub fn load(files: &TlsFiles) -> Result<Self, AgentError> {
        let roots = Arc::new(authority(&files.authority)?);
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|e| bad(&files.certificate, e))?;
        let verifier =
            WebPkiClientVerifier::builder(roots).build().map_err(|e| bad(&files.authority, e))?;
        let server = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|e| bad(&files.certificate, e))?;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }
}

pub(crate) fn bad(path: &Path, why: impl ToString) -> AgentError {
    AgentError::Tls { path: path.to_owned(), why: why.to_string() }
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AgentError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| bad(path, e))?;
    read.collect::<Result<_, _>>().map_err(|e| bad(path, e))
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, AgentError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| bad(path, e))
}

pub(crate) fn authority(path: &Path) -> Result<RootCertStore, AgentError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| bad(path, e))?;
    }
    Ok(roots)
}

/// Which of the known sites a verified certificate speaks for.
pub fn site_of<'a>(
    certificate: &CertificateDer<'_>,
    known: impl IntoIterator<Item = &'a SiteName>,
) -> Option<SiteName> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    known
        .into_iter()
        .find(|site| {
            ServerName::try_from(site.as_str())
                .is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
        })
        .cloned()
}
