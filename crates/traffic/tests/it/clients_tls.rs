//! Encryption between PostgreSQL's own clients and the gate, and sessions that are too old.

use super::encrypted::{give_to_server, server};
use super::postgres::{connect, run, text};
use super::support::certificates::Authority;
use super::support::client::post;
use super::support::site::{LONG, Pair};
use mainstay_core::estate::{CertificateFiles, ClientTls, TlsFiles};
use mainstay_testkit::{Options, Postgres};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOLD: Duration = Duration::from_secs(20);

/// Both gates show this certificate, and east serves.
async fn showing(server: &Postgres, files: &TlsFiles) -> Pair {
    let shown = CertificateFiles { certificate: files.certificate.clone(), key: files.key.clone() };
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        spec.tcp.tls = ClientTls::Terminate(shown.clone());
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    pair
}

/// What psql says when it connects so, and trusts this authority only.
async fn psql(server: &Postgres, gate: SocketAddr, files: &TlsFiles, how: &str) -> String {
    let root = files.authority.display();
    let wish = format!("{how} sslrootcert={root}");
    text(&run(server, gate, "psql", &[&wish, "-Atc", "SELECT 6 * 7"]).await)
}

#[tokio::test]
async fn psql_verifies_the_gates_certificate_however_it_begins_with_tls() {
    let server = Postgres::start(Options::default().fsync(false));
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let files = Authority::new().issue("127.0.0.1", folder.path());
    let stranger = Authority::new().issue("127.0.0.1", other.path());
    let pair = showing(&server, &files).await;
    let (asked, direct) = ("sslmode=verify-full", "sslmode=verify-full sslnegotiation=direct");
    for gate in [pair.east.db, pair.west.db] {
        for how in [asked, direct, "sslmode=disable"] {
            assert_eq!(psql(&server, gate, &files, how).await, "42\n", "{how}");
        }
    }
    let refused = psql(&server, pair.east.db, &stranger, asked).await;
    assert!(refused.contains("SSL error"), "{refused}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_sessions_go_on() {
    let server = Postgres::start(Options::default().fsync(false));
    let (folder, renewed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let files = Authority::new().issue("127.0.0.1", folder.path());
    let pair = showing(&server, &files).await;
    let client = connect(&server, pair.east.db).await.unwrap();
    let how = "sslmode=verify-full";
    assert_eq!(psql(&server, pair.east.db, &files, how).await, "42\n");
    let new = Authority::new().issue("127.0.0.1", renewed.path());
    std::fs::copy(&new.certificate, &files.certificate).unwrap();
    // Between the two the files do not fit each other: the old ones stay in use.
    assert_eq!(psql(&server, pair.east.db, &files, how).await, "42\n");
    std::fs::copy(&new.key, &files.key).unwrap();
    assert_eq!(psql(&server, pair.east.db, &new, how).await, "42\n");
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn bytes_that_come_before_the_handshake_are_never_taken_for_the_clients() {
    let server = Postgres::start(Options::default().fsync(false));
    let folder = TempDir::new().unwrap();
    let pair = showing(&server, &Authority::new().issue("127.0.0.1", folder.path())).await;
    // What somebody between could slip in: a whole start-up, in plain, right behind the wish.
    let wish = [0, 0, 0, 8, 4, 210, 22, 47];
    let slipped = [&[0, 0, 0, 16, 0, 3, 0, 0][..], b"user\0a\0\0"].concat();
    let mut stream = TcpStream::connect(pair.east.db).await.unwrap();
    stream.write_all(&[&wish[..], &slipped].concat()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer.first(), Some(&b'S'));
    // A TLS alert or nothing follows, and no word of a PostgreSQL server.
    assert!(answer[1..].is_empty() || answer[1] == 0x15, "{answer:?}");
}

#[tokio::test]
async fn encryption_that_passes_through_is_between_client_and_server_and_obeys_the_epoch() {
    let folder = TempDir::new().unwrap();
    let files = Authority::new().issue("127.0.0.1", folder.path());
    give_to_server(&folder, &files.key);
    let server = server(&files);
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        spec.tcp.tls = ClientTls::Through;
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    for gate in [pair.east.db, pair.west.db] {
        for how in ["sslmode=verify-full", "sslmode=verify-full sslnegotiation=direct"] {
            assert_eq!(psql(&server, gate, &files, how).await, "42\n", "{how}");
        }
    }
    let client = connect(&server, pair.east.db).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    pair.east.close(2).await;
    assert!(client.batch_execute("COMMIT").await.is_err());
    pair.east.report(|report| report.drained).await;
}

#[tokio::test]
async fn a_session_that_is_too_old_ends_with_57p01_and_never_within_a_transaction() {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        spec.tcp.max_age = Some(Duration::from_millis(1500));
    })
    .await;
    pair.east.serve(1, LONG).await;
    let busy = connect(&server, pair.east.db).await.unwrap();
    busy.batch_execute("CREATE TABLE t (); BEGIN; INSERT INTO t DEFAULT VALUES").await.unwrap();
    // Only a drain waits for requests: where there are always some, nothing would ever be too old.
    let slow = tokio::spawn(post(pair.east.http, "/slow", ""));
    pair.east.report(|report| report.http_in_flight == 1).await;
    let script = pair.east.spec.state_dir.join("script.sql");
    std::fs::write(&script, "SELECT 1;\n\\! sleep 3\nSELECT 2;\n").unwrap();
    let arguments = ["-v", "VERBOSITY=verbose", "-At", "-f", script.to_str().unwrap()];
    let said = text(&run(&server, pair.east.db, "psql", &arguments).await);
    assert!(said.contains("57P01") && said.contains("older than the gate allows"), "{said}");
    // Older by now than the idle one when that was ended.
    busy.batch_execute("COMMIT").await.unwrap();
    pair.east.report(|report| report.connections == 0).await;
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    assert_eq!(slow.await.unwrap().status(), 200);
    let rows = server.client("postgres").await.query("TABLE t", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}
