//! TLS for people who come over the network. The agent shows its site's certificate; a person shows
//! one of the people's authority, or none and a token.

use crate::error::AgentError;
use crate::peer::tls::{authority, bad, certificates, private_key};
use mainstay_core::estate::TlsFiles;
use mainstay_core::people::People;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use std::path::Path;
use std::sync::Arc;

pub fn server(files: &TlsFiles, people: &People) -> Result<Arc<ServerConfig>, AgentError> {
    let verifier = match &people.authority {
        Some(path) => verifier(path, files)?,
        None => Arc::new(NoClientAuth),
    };
    let chain = certificates(&files.certificate)?;
    let mut server = ServerConfig::builder_with_protocol_versions(&[&TLS13])
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, private_key(&files.key)?)
        .map_err(|why| bad(&files.certificate, why))?;
    // A session that is taken up again would not show its certificate again, which may have
    // expired since.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

/// Invariant: no authority signs for both. Otherwise a person's certificate would open the way of
/// the agents, and a site's that of people.
fn verifier(path: &Path, files: &TlsFiles) -> Result<Arc<dyn ClientCertVerifier>, AgentError> {
    let of_sites = certificates(&files.authority)?;
    if certificates(path)?.iter().any(|one| of_sites.contains(one)) {
        let why = format!(
            "{} holds an authority of the sites ({}): make one for people alone",
            path.display(),
            files.authority.display()
        );
        return Err(AgentError::People { why });
    }
    let roots = Arc::new(authority(path)?);
    let verifier = WebPkiClientVerifier::builder(roots).allow_unauthenticated().build();
    verifier.map(|it| it as Arc<dyn ClientCertVerifier>).map_err(|why| bad(path, why))
}
