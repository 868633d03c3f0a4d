//! What a real server sends of transactions in progress and of prepared ones is understood.

use bytes::Bytes;
use mainstay_testkit::{Options, Postgres};
use mainstay_wire::pgoutput::{Decoded, Decoder, Message};
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The source streams a transaction once it holds more than 64 kB of changes.
async fn source() -> (Postgres, Client) {
    let start = || {
        let options = Options::default().fsync(false).set("logical_decoding_work_mem", "64kB");
        Postgres::start(options)
    };
    let server = tokio::task::spawn_blocking(start).await.unwrap();
    let client = server.create_database("bank").await;
    for setup in [
        "CREATE TABLE t (id int PRIMARY KEY, part text)",
        "CREATE PUBLICATION mainstay FOR ALL TABLES",
        "SELECT pg_create_logical_replication_slot('s', 'pgoutput', false, true)",
    ] {
        client.batch_execute(setup).await.unwrap();
    }
    (server, client)
}

/// The bytes come from the server by SQL, so that nothing of ours stands before the decoder.
async fn messages(client: &Client) -> Vec<Decoded> {
    let changes = "SELECT data FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, \
                   'proto_version', '4', 'publication_names', 'mainstay', 'streaming', 'on', \
                   'messages', 'on')";
    let rows = client.query(changes, &[]).await.unwrap();
    let mut decoder = Decoder::default();
    rows.iter().map(|row| decoder.decode(Bytes::from(row.get::<_, Vec<u8>>(0))).unwrap()).collect()
}

fn insert(part: &str, from: u32, to: u32) -> String {
    format!(
        "INSERT INTO t SELECT i, '{part}' || repeat('x', 100) FROM generate_series({from}, {to}) i;"
    )
}

/// Rows that were inserted under each number, while streamed.
fn inserted(messages: &[Decoded]) -> BTreeMap<u32, usize> {
    let mut inserted = BTreeMap::new();
    for decoded in messages {
        if let (Message::Insert { .. }, Some(xid)) = (&decoded.message, decoded.subtransaction) {
            *inserted.entry(xid).or_default() += 1;
        }
    }
    inserted
}

#[tokio::test]
async fn rows_of_a_rolled_back_savepoint_are_told_apart_from_the_others() {
    let (_server, client) = source().await;
    client.batch_execute(&format!("BEGIN; {}", insert("kept", 1, 2000))).await.unwrap();
    let top = client.query_one("SELECT pg_current_xact_id()::text", &[]).await.unwrap();
    let top: u32 = top.get::<_, String>(0).parse().unwrap();
    let rest = format!(
        "SAVEPOINT a; {} SELECT pg_logical_emit_message(true, 'note', 'in a'); \
         ROLLBACK TO a; {} COMMIT;",
        insert("undone", 2001, 5000),
        insert("kept too", 5001, 5010)
    );
    client.batch_execute(&rest).await.unwrap();
    let seen = messages(&client).await;
    assert!(matches!(seen[0].message, Message::StreamStart { xid, first: true } if xid == top));

    let aborted: Vec<u32> = seen
        .iter()
        .filter_map(|decoded| match decoded.message {
            Message::StreamAbort { xid, subxid } if xid == top => Some(subxid),
            _ => None,
        })
        .collect();
    let mut inserted = inserted(&seen);
    assert_eq!(aborted.len(), 1);
    // The source may see the rollback before it has sent all of the savepoint's rows.
    let undone = inserted.remove(&aborted[0]).unwrap_or_default();
    assert!((1..=3000).contains(&undone), "{undone} rows streamed and then rolled back");
    assert_eq!(inserted.values().sum::<usize>(), 2010, "{inserted:?}");
    let last = &seen.last().unwrap().message;
    assert!(matches!(last, Message::StreamCommit(commit) if commit.xid == top), "{last:?}");
}

#[tokio::test]
async fn prepared_transactions_small_and_streamed_are_understood() {
    let (_server, client) = source().await;
    for (gid, from, to, end) in [
        ("small", 1, 10, "COMMIT PREPARED 'small'"),
        ("large", 11, 3000, "COMMIT PREPARED 'large'"),
        ("undone", 3001, 3010, "ROLLBACK PREPARED 'undone'"),
    ] {
        let prepare = format!("BEGIN; {} PREPARE TRANSACTION '{gid}';", insert(gid, from, to));
        client.batch_execute(&prepare).await.unwrap();
        // Sent at the prepare, before anybody knows how it ends.
        let prepared = messages(&client).await;
        let last = &prepared.last().unwrap().message;
        match last {
            Message::Prepare(prepare) => assert!(prepare.gid == gid && gid != "large"),
            Message::StreamPrepare(prepare) => assert!(prepare.gid == gid && gid == "large"),
            other => panic!("{other:?}"),
        }
        client.batch_execute(end).await.unwrap();
        let ended = messages(&client).await;
        assert!(
            matches!(
                &ended[..],
                [Decoded { message: Message::CommitPrepared(c), .. }] if c.gid == gid && gid != "undone"
            ) || matches!(
                &ended[..],
                [Decoded { message: Message::RollbackPrepared(r), .. }] if r.gid == gid && gid == "undone"
            ),
            "{ended:?}"
        );
    }
}
