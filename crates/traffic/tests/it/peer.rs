//! Who may come through the tunnel.

use super::support::certificates::Authority;
use super::support::client::{code, post};
use super::support::site::{LONG, Pair, Site};
use http::StatusCode;
use mainstay_core::estate::TlsFiles;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOLD: Duration = Duration::from_millis(500);

/// Restarts west's gate with these files; east goes on serving.
async fn with_files(site: &mut Site, files: TlsFiles) {
    site.stop_gate().await;
    site.spec.tls = files;
    site.start_gate();
    site.forward(1, "east").await;
}

#[tokio::test]
async fn a_gate_of_another_authority_is_refused() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    let folder = TempDir::new().unwrap();
    let mut files = Authority::new().issue("west", folder.path());
    // It trusts east, but east does not trust it.
    files.authority = pair.east.spec.tls.authority.clone();
    with_files(&mut pair.west, files).await;
    assert_eq!(code(&post(pair.west.http, "/", "").await), "MS-GATE-010");
    assert!(pair.record.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_gate_does_not_send_anything_to_a_server_of_another_authority() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    let folder = TempDir::new().unwrap();
    let mut files = Authority::new().issue("west", folder.path());
    files.certificate = pair.west.spec.tls.certificate.clone();
    files.key = pair.west.spec.tls.key.clone();
    with_files(&mut pair.west, files).await;
    assert_eq!(code(&post(pair.west.http, "/", "").await), "MS-GATE-010");
    assert!(pair.record.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_of_a_site_without_a_gate_is_refused() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    for name in ["witness", "east"] {
        let folder = TempDir::new().unwrap();
        let files = pair.authority.issue(name, folder.path());
        let answer = knock(&pair.east, &files).await;
        assert!(answer.is_empty(), "{name}: {}", String::from_utf8_lossy(&answer));
    }
    let folder = TempDir::new().unwrap();
    let files = pair.authority.issue("west", folder.path());
    assert_eq!(knock(&pair.east, &files).await, b"{\"ok\":true}\n");
}

/// A tunnel as a stranger with this certificate would open it.
async fn knock(to: &Site, files: &TlsFiles) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.authority).expect("a file")).expect("valid");
    let chain = vec![CertificateDer::from_pem_file(&files.certificate).expect("a file")];
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a file");
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a key");
    let stream = TcpStream::connect(to.spec.peer_listen).await.expect("it listens");
    let name = ServerName::try_from("east").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut stream = connector.connect(name, stream).await.expect("a handshake");
    let hello = b"{\"application\":\"bank\",\"epoch\":1,\"to\":\"http\"}\n";
    let (mut answer, mut byte) = (Vec::new(), [0; 1]);
    let _ = stream.write_all(hello).await;
    while !answer.ends_with(b"\n") && stream.read(&mut byte).await.is_ok_and(|count| count == 1) {
        answer.push(byte[0]);
    }
    answer
}

#[tokio::test]
async fn a_plain_client_gets_nothing_from_the_peer_port() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let hello = b"{\"application\":\"bank\",\"epoch\":1,\"to\":\"http\"}\n";
    let answer = super::support::client::raw(pair.east.spec.peer_listen, hello).await;
    assert!(!answer.windows(4).any(|four| four == b"true"), "{answer:?}");
    assert_eq!(post(pair.west.http, "/", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_are_held_while_the_active_sites_gate_is_down_and_answered_when_it_is_back() {
    let mut pair = Pair::start(Duration::from_secs(20), [1, 1]).await;
    pair.east.serve(1, LONG).await;
    pair.east.stop_gate().await;
    pair.west.forward(1, "east").await;
    let requests: Vec<_> =
        (0..100).map(|id| tokio::spawn(post(pair.west.http, "/", id.to_string()))).collect();
    pair.west.report(|report| report.http_held >= 99).await;
    pair.east.start_gate();
    for request in requests {
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(pair.record.lock().unwrap().len(), 100);
}
