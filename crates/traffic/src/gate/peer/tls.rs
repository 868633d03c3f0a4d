//! Certificates: every gate has one whose name is its site's, from the authority all sites trust.

use crate::gate::error::GateError;
use crate::gate::spec::GateSpec;
use mainstay_core::SiteName;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Both ends of the tunnel, as this site.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
}

pub fn load(spec: &GateSpec) -> Result<Tls, GateError> {
    let roots = Arc::new(authority(&spec.tls.authority)?);
    let chain = certificates(&spec.tls.certificate)?;
    check_own_name(spec, &chain)?;
    let key = |path: &Path| {
        PrivateKeyDer::from_pem_file(path).map_err(|error| bad(path, error, "a private key"))
    };
    let acceptor = server(&roots, chain.clone(), key(&spec.tls.key)?)
        .map_err(|error| bad(&spec.tls.certificate, error, "a certificate and its key"))?;
    let connector = client(roots, chain, key(&spec.tls.key)?)
        .map_err(|error| bad(&spec.tls.certificate, error, "a certificate and its key"))?;
    Ok(Tls { acceptor, connector })
}

/// A site's name as certificates carry it: a DNS subject alternative name.
pub fn server_name(site: &SiteName) -> Option<ServerName<'static>> {
    ServerName::try_from(site.as_str().to_owned()).ok()
}

/// Which of these sites the verified certificate is of.
pub fn site_of<'a>(
    certificate: &CertificateDer<'_>,
    mut sites: impl Iterator<Item = &'a SiteName>,
) -> Option<&'a SiteName> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    sites.find(|site| {
        server_name(site).is_some_and(|name| verify_server_name(&parsed, &name).is_ok())
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server(
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn client(
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsConnector, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// For clients that show no certificate.
pub fn server_without_clients(
    certificate: &Path,
    key: &Path,
    protocols: &[impl AsRef<[u8]>],
) -> Result<TlsAcceptor, GateError> {
    let chain = certificates(certificate)?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error, "a private key"))?;
    let refused = |error| bad(certificate, error, "a certificate and its key");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(refused)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_ref().to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// For a server that wants no certificate of ours.
pub fn connector_without_certificate(authority: &Path) -> Result<TlsConnector, GateError> {
    let roots = self::authority(authority)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(authority, error, "an authority's certificate"))?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The authorities of a PEM file; not one of them is left out silently.
fn authority(path: &Path) -> Result<RootCertStore, GateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| bad(path, error, "an authority's certificate"))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, GateError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(bad(path, "it holds no certificate", "certificates")),
        Ok(found) => Ok(found),
        Err(error) => Err(bad(path, error, "certificates")),
    }
}

fn check_own_name(spec: &GateSpec, chain: &[CertificateDer<'_>]) -> Result<(), GateError> {
    let own = chain.first().and_then(|first| site_of(first, std::iter::once(&spec.here)));
    own.map(drop).ok_or_else(|| GateError::Tls {
        path: spec.tls.certificate.clone(),
        problem: format!("the certificate is not one of the site {}", spec.here),
        advice: format!(
            "Issue it with the subject alternative name DNS:{}, or name the right file",
            spec.here
        ),
    })
}

fn bad(path: &Path, problem: impl std::fmt::Display, wanted: &str) -> GateError {
    GateError::Tls {
        path: path.to_owned(),
        problem: problem.to_string(),
        advice: format!("Put {wanted} there, in PEM, readable by this user"),
    }
}
