//! The replication connection, against a real server.

use mainstay_core::Secret;
use mainstay_stores::postgres::connect::ConnectError;
use mainstay_stores::postgres::replication::{Replication, ReplicationError, SlotLife};
use mainstay_testkit::{Options, Postgres};
use mainstay_wire::pgoutput::{Message, StatusUpdate, StreamMessage, decode};
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
    let mut stream = stream.start("test_slot", slot.consistent_point, "mainstay").await.unwrap();
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
    let missing = connection.start("nobody_made_it", Default::default(), "mainstay").await;
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
