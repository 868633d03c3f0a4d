//! The replication connection, against a real server.

use mainstay_core::Secret;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::connect::ConnectError;
use mainstay_stores::postgres::connect::connect;
use mainstay_stores::postgres::replication::{Protocol, Replication, ReplicationError, SlotLife};
use mainstay_testkit::{Options, Postgres};
use mainstay_wire::pgoutput::{Message, StatusUpdate, StreamMessage, decode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn a_slot_exports_its_snapshot_and_streams_what_follows_it() {
    let server = Postgres::start(Options::default());
    let client = server.client("postgres").await;
    let sql = "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION mainstay FOR ALL TABLES;
               INSERT INTO t VALUES (1)";
    client.batch_execute(sql).await.unwrap();

    let endpoint = server.endpoint("postgres");
    let mut slots = Replication::connect(&endpoint, "test").await.unwrap();
    let slot = slots.create_slot("test_slot", SlotLife::Kept).await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();

    let reader = server.client("postgres").await;
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{}'",
        slot.snapshot
    );
    reader.batch_execute(&begin).await.unwrap();
    let seen: i64 = reader.query_one("SELECT sum(id) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(seen, 1, "the snapshot is that of the consistent point");

    let stream = Replication::connect(&endpoint, "test").await.unwrap();
    let (from, protocol) = (slot.consistent_point, Protocol::Committed);
    let mut stream = stream.start("test_slot", from, "mainstay", protocol).await.unwrap();
    stream.sender.send(StatusUpdate { reply: true, ..StatusUpdate::default() }).await.unwrap();
    let mut inserted = Vec::new();
    let (mut committed, mut heard) = (false, false);
    while !(committed && heard) {
        let next = tokio::time::timeout(Duration::from_secs(10), stream.reader.next());
        match next.await.expect("the source goes on talking").unwrap() {
            StreamMessage::XLogData { data, .. } => match decode(data).unwrap() {
                Message::Insert { new, .. } => inserted.push(format!("{new:?}")),
                Message::Commit(_) => committed = true,
                _ => {}
            },
            StreamMessage::Keepalive { .. } => heard = true,
        }
    }
    assert_eq!(inserted, [r#"[Text(b"2")]"#]);
}

#[tokio::test]
async fn a_wrong_password_a_missing_slot_and_a_dead_port_are_told_apart() {
    let server = Postgres::start(Options::default());
    let mut endpoint = server.endpoint("postgres");
    let connection = Replication::connect(&endpoint, "test").await.unwrap();
    let (from, protocol) = (Lsn::default(), Protocol::Committed);
    let missing = connection.start("nobody_made_it", from, "mainstay", protocol).await;
    assert_eq!(missing.err().unwrap().sqlstate(), Some("42704"));

    endpoint.password = Some(Secret::new("wrong"));
    let refused = Replication::connect(&endpoint, "test").await.err().unwrap();
    assert_eq!(refused.sqlstate(), Some("28P01"), "{refused}");
    assert!(!refused.to_string().contains("wrong"), "no password in an error: {refused}");

    endpoint.port = mainstay_testkit::free_port();
    let unreachable = Replication::connect(&endpoint, "test").await.err().unwrap();
    let expected =
        matches!(unreachable, ReplicationError::Connect(ConnectError::Unreachable { .. }));
    assert!(expected, "{unreachable}");
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The server itself writes its key, so that it owns it.
async fn switch_tls_on(server: &Postgres, authority: &CertifiedIssuer<'static, KeyPair>) {
    let client = server.client("postgres").await;
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    for (file, pem) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let folder = server.data_folder();
        let copy = format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) \
             TO PROGRAM 'umask 077; cat > {}/{file}'",
            pem.trim(),
            folder.display()
        );
        client.batch_execute(&copy).await.unwrap();
    }
    client.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    mainstay_testkit::wait_for("TLS is on", Duration::from_secs(60), async || {
        let row = server.client("postgres").await.query_one("SHOW ssl", &[]).await.unwrap();
        row.get::<_, &str>(0) == "on"
    })
    .await;
}

fn trusting(server: &Postgres, host: &str, authority: &Path) -> PostgresEndpoint {
    let mut endpoint = server.endpoint("postgres");
    endpoint.host = host.to_owned();
    endpoint.tls = PostgresTls::VerifyFull { authority: authority.to_owned() };
    endpoint
}

#[tokio::test]
async fn both_kinds_of_connection_encrypt_and_verify_the_servers_name() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Postgres::start(Options::default());
    let (ours, strange) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let (trusted, untrusted) = (folder.path().join("ours"), folder.path().join("strange"));
    std::fs::write(&trusted, ours.pem()).unwrap();
    std::fs::write(&untrusted, strange.pem()).unwrap();

    let before = Replication::connect(&trusting(&server, "localhost", &trusted), "test").await;
    let before = before.err().unwrap().to_string();
    assert!(before.contains("does not offer TLS"), "{before}");

    switch_tls_on(&server, &ours).await;
    let good = trusting(&server, "localhost", &trusted);
    let client = connect(&good, "test").await.unwrap();
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = client.query_one(encrypted, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "true");
    let mut replication = Replication::connect(&good, "test").await.unwrap();
    let rows = replication.simple_query("SHOW ssl").await.unwrap();
    assert_eq!(rows, [[Some("on".to_owned())]]);
    let walsender = "SELECT count(*)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND backend_type = 'walsender'";
    assert_eq!(client.query_one(walsender, &[]).await.unwrap().get::<_, &str>(0), "1");

    // Another authority, another name, a file that is none.
    for (host, authority) in [("localhost", &untrusted), ("127.0.0.1", &trusted)] {
        let bad = trusting(&server, host, authority);
        let error = connect(&bad, "test").await.err().unwrap();
        assert_eq!(error.code(), "MS-PG-105", "{error}");
        let error = Replication::connect(&bad, "test").await.err().unwrap();
        let tls = matches!(error, ReplicationError::Connect(ConnectError::Tls { .. }));
        assert!(tls, "{error}");
    }
    let none = trusting(&server, "localhost", &folder.path().join("missing"));
    assert_eq!(connect(&none, "test").await.err().unwrap().code(), "MS-PG-105");
}
