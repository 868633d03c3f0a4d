//! Schema changes while others write the same tables. The oracle is `pg_dump` of both sides.

use crate::link_world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;
use tokio_postgres::Client;

const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('calm');
    CREATE TABLE t (id bigserial PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
    INSERT INTO t (v) SELECT 'v' || i FROM generate_series(1, 200) i;";

/// In each round, so that each meets the writers at another moment.
const CHANGES: &[&str] = &[
    "ALTER TABLE t ADD COLUMN c_ROUND int DEFAULT 7",
    "ALTER TABLE t ADD COLUMN at_ROUND timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE t RENAME COLUMN c_ROUND TO r_ROUND",
    "ALTER TYPE mood ADD VALUE 'm_ROUND'",
    "CREATE SCHEMA s_ROUND",
    "CREATE TABLE s_ROUND.made (id bigserial PRIMARY KEY, m mood)",
    "INSERT INTO s_ROUND.made (m) VALUES ('m_ROUND')",
    "CREATE INDEX CONCURRENTLY i_ROUND ON t (n)",
    "DO $$ BEGIN ALTER TABLE t ADD COLUMN by_do int; UPDATE t SET by_do = ROUND; \
     INSERT INTO t (v, by_do) VALUES ('by do', ROUND); ALTER TABLE t DROP COLUMN by_do; END $$",
    "CREATE TABLE q_ROUND AS SELECT id, v FROM t",
    "ALTER TABLE q_ROUND ADD PRIMARY KEY (id); UPDATE q_ROUND SET v = v || '!' WHERE id % 3 = 0",
    "ALTER TABLE t ALTER COLUMN n TYPE numeric USING n + 0.5",
    "ALTER TABLE t ALTER COLUMN n TYPE int USING floor(n)",
    "DROP INDEX CONCURRENTLY i_ROUND",
    "ALTER TABLE t DROP COLUMN r_ROUND",
];

async fn write(client: Client, number: u32, stop: Arc<AtomicBool>) -> u64 {
    client.batch_execute("SET search_path = public").await.unwrap();
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = (u64::from(number) * 31 + written * 7) % 200 + 1;
        let text = format!(
            "BEGIN; INSERT INTO t (v) VALUES ('{number} {written}'); \
             UPDATE t SET n = n + 1, v = v || '.' WHERE id = {id}; \
             DELETE FROM t WHERE v = '{number} {}'; COMMIT",
            written.saturating_sub(10),
        );
        match client.batch_execute(&text).await {
            Ok(()) => written += 1,
            // Two writers and a change of the table can wait for each other.
            Err(error) => {
                let code = error.code().map(|code| code.code().to_owned());
                assert_eq!(code.as_deref(), Some("40P01"), "{error:?}");
                client.batch_execute("ROLLBACK").await.unwrap();
            }
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_changes_under_load_leave_both_sides_the_same() {
    let world = World::start(SCHEMA).await;
    let link = world.streaming().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..4 {
        let client = world.source.server.client(&world.name).await;
        writers.spawn(write(client, number, Arc::clone(&stop)));
    }
    for round in 0..6 {
        for change in CHANGES {
            let change = change.replace("ROUND", &round.to_string());
            while let Err(error) = world.source.client.batch_execute(&change).await {
                let code = error.code().map(|code| code.code().to_owned());
                assert_eq!(code.as_deref(), Some("40P01"), "{change}: {error:?}");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let written: u64 = writers.join_all().await.into_iter().sum();
    assert!(written > 200, "{written} transactions were written meanwhile");
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    let made = world.target.text("SELECT count(*)::text FROM s_5.made").await;
    assert_eq!(made, "1");
}
