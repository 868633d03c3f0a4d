//! TLS with clients, and HTTP/2. The client is curl.

use super::super::support::SOON;
use super::super::support::site::{LONG, Pair};
use mainstay_core::estate::{CertificateFiles, WebTls};
use mainstay_testkit::wait_for_value;
use mainstay_traffic::gate::GateSpec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

const NAME: &str = "bank.example";

/// What curl says of one request: the answer's body, and a line of what it saw.
async fn curl(address: SocketAddr, authority: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--write-out"])
        .arg("|%{http_version} %{response_code}")
        .arg("--cacert")
        .arg(authority)
        .arg("--resolve")
        .arg(format!("{NAME}:{}:{}", address.port(), address.ip()))
        .args(arguments)
        .output()
        .await
        .expect("curl is installed (apt-get install curl)");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// East serves, with TLS whose files are in the folder.
async fn encrypted() -> (Pair, TempDir, WebTls) {
    encrypted_with(|_| {}).await
}

async fn encrypted_with(adjust: impl Fn(&mut GateSpec)) -> (Pair, TempDir, WebTls) {
    let folder = TempDir::new().expect("a folder");
    let authority = super::super::support::certificates::Authority::new();
    let issued = authority.issue(NAME, folder.path());
    let files = CertificateFiles { certificate: issued.certificate, key: issued.key };
    let tls = WebTls { files, authority: issued.authority };
    let pair = Pair::start_with(Duration::from_secs(20), [1, 1], |spec| {
        spec.http.as_mut().expect("there").options.tls = Some(tls.clone());
        adjust(spec);
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    (pair, folder, tls)
}

#[tokio::test]
async fn clients_speak_http_2_or_1_over_tls_and_the_upstream_learns_of_it() {
    let (pair, _folder, tls) = encrypted().await;
    for gate in [pair.east.http, pair.west.http] {
        let url = format!("https://{NAME}:{}/x?y=z", gate.port());
        let two = curl(gate, &tls.authority, &["--http2", "-b", "a=1", "-d", "ten", &url]).await;
        assert_eq!(two.unwrap(), "east:ten|2 200");
        let one = curl(gate, &tls.authority, &["--http1.1", "-d", "ten", &url]).await;
        assert_eq!(one.unwrap(), "east:ten|1.1 200");
    }
    let seen = pair.record.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for seen in seen.iter() {
        assert_eq!(seen.headers["x-forwarded-proto"], "https");
        assert_eq!(seen.headers["forwarded"], "for=127.0.0.1;proto=https");
        assert!(seen.headers["host"].to_str().unwrap().starts_with(NAME));
        assert_eq!(seen.headers["mainstay-epoch"], "1");
    }
}

#[tokio::test]
async fn without_tls_http_2_is_spoken_to_who_knows_it_beforehand() {
    let pair = Pair::start(Duration::from_secs(20), [1, 1]).await;
    pair.east.serve(1, LONG).await;
    let url = format!("http://{NAME}:{}/", pair.east.http.port());
    let answer =
        curl(pair.east.http, Path::new("/"), &["--http2-prior-knowledge", "-d", "ten", &url]).await;
    assert_eq!(answer.unwrap(), "east:ten|2 200");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_over_http_2() {
    let (pair, folder, tls) = encrypted().await;
    let file = folder.path().join("large");
    fs::write(&file, vec![b'y'; 5_000_000]).unwrap();
    for gate in [pair.east.http, pair.west.http] {
        let upload = format!("@{}", file.display());
        let url = format!("https://{NAME}:{}/", gate.port());
        let sent = curl(gate, &tls.authority, &["--data-binary", &upload, &url]).await.unwrap();
        assert!(sent.ends_with("|2 200"));
        assert_eq!(sent.len(), 5_000_000 + "east:|2 200".len());
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_the_old_ones_go_on() {
    let (pair, folder, tls) = encrypted().await;
    let url = format!("https://{NAME}:{}/slow", pair.east.http.port());
    let (gate, authority) = (pair.east.http, tls.authority.clone());
    let old_authority = folder.path().join("old.pem");
    fs::copy(&authority, &old_authority).unwrap();
    let old = tokio::spawn({
        let (url, authority) = (url.clone(), old_authority.clone());
        async move { curl(gate, &authority, &["-d", "old", &url]).await }
    });
    pair.east.report(|report| report.http_in_flight == 1).await;
    // The files do not fit each other for a moment: nobody notices.
    fs::write(&tls.files.key, "not a key").unwrap();
    let root = format!("https://{NAME}:{}/", gate.port());
    let between = curl(gate, &old_authority, &["-d", "", &root]).await;
    assert_eq!(between.unwrap(), "east:|2 200");
    super::super::support::certificates::Authority::new().issue(NAME, folder.path());
    let found = wait_for_value("the new certificate", SOON, async || {
        curl(gate, &authority, &["-d", "", &root]).await.ok()
    });
    assert_eq!(found.await, "east:|2 200");
    assert!(curl(gate, &old_authority, &["-d", "", &root]).await.is_err());
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    assert_eq!(old.await.unwrap().unwrap(), "east:old|2 200");
}

#[tokio::test]
async fn clients_that_say_nothing_are_closed_before_and_after_the_handshake() {
    let (pair, _folder, tls) = encrypted_with(|spec| {
        spec.limits.head_time = Duration::from_millis(300);
        spec.limits.idle_time = Duration::from_millis(300);
    })
    .await;
    let mut silent = TcpStream::connect(pair.east.http).await.unwrap();
    let end = tokio::time::timeout(SOON, silent.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "before: {end:?}");
    let connector = connector(&tls.authority);
    let stream = TcpStream::connect(pair.east.http).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let mut shaken = connector.connect(name, stream).await.unwrap();
    assert_eq!(shaken.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    shaken.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let end = tokio::time::timeout(SOON, shaken.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "a connection of HTTP/2 that rests is kept for ever");
}

/// Speaks HTTP/2.
fn connector(authority: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).expect("a certificate") {
        roots.add(certificate.expect("a certificate")).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}
