//! Large transactions: whole or not at all, several at once, with savepoints that were rolled
//! back, prepared over restarts, and in bounded memory.

use super::child::{LinkProcess, play_the_link_if_told};
use super::ground::{Field, Ground, Pair};
use mainstay_testkit::{Options, wait_for};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;

const LONG: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE large (id bigint PRIMARY KEY, v text); CREATE TABLE other (id bigint PRIMARY KEY, v text);
    CREATE TABLE rows_only (v bigint, w text); ALTER TABLE rows_only REPLICA IDENTITY FULL;
    CREATE TABLE small (id bigserial PRIMARY KEY, v text);";

/// A source that tells transactions of more than 64 kB before they end, when it is asked to.
async fn ground(pair: Pair) -> Ground {
    Ground::start_with(pair, Options::default().set("logical_decoding_work_mem", "64kB")).await
}

async fn client(field: &Field) -> Client {
    let client = field.world.source.server.client(&field.world.name).await;
    client.batch_execute("SET search_path = public").await.unwrap();
    client
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transactions_arrive_whole() {
    let ground = ground(Pair::USUAL).await;
    tokio::join!(
        a_transaction_of_300_000_rows(&ground),
        transactions_that_are_open_side_by_side(&ground),
        savepoints_within_savepoints(&ground),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transactions_arrive_whole_from_15_at_18() {
    let ground = ground(Pair { source: 15, target: 18 }).await;
    transactions_that_are_open_side_by_side(&ground).await;
    savepoints_within_savepoints(&ground).await;
}

/// Nobody ever sees a part of it; small transactions go on before and after.
async fn a_transaction_of_300_000_rows(ground: &Ground) {
    let field = ground.field("many", SCHEMA).await;
    let link = field.streaming().await;
    let source = client(&field).await;
    run(&source, "INSERT INTO small (v) VALUES ('before')").await;
    let insert = "INSERT INTO large SELECT i, 'v' || i FROM generate_series(1, 300000) i";
    let inserting = async { run(&source, insert).await };
    let looking = async {
        wait_for("all of it is there", LONG, async || {
            let seen = field.world.target.text("SELECT count(*)::text FROM large").await;
            assert!(seen == "0" || seen == "300000", "{seen} rows seen");
            seen == "300000"
        })
        .await;
    };
    tokio::join!(inserting, looking);
    run(
        &source,
        "INSERT INTO small (v) VALUES ('after'); UPDATE large SET v = v || '!' WHERE id % 50 = 0",
    )
    .await;
    run(&source, "DELETE FROM large WHERE id % 3 = 0").await;
    field.end(link).await;
    field.assert_equal("300,000 rows");
}

/// The source finds them in its history together with their end, and tells nothing of some of them
/// but that they were rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn large_transactions_that_were_rolled_back_long_ago_are_nothing() {
    for pair in [Pair::USUAL, Pair { source: 15, target: 18 }, Pair { source: 17, target: 17 }] {
        let ground = ground(pair).await;
        let field = ground.field("gone", SCHEMA).await;
        field.streaming().await.stop().await;
        let source = client(&field).await;
        let rows = |from: i64| {
            format!(
                "INSERT INTO large SELECT i, repeat('x', 90) FROM generate_series({from}, {from} + 3000) i;"
            )
        };
        let (first, second) = (rows(0), rows(10_000));
        for ends in [
            format!("INSERT INTO small (v) VALUES ('top'); SAVEPOINT a; {first} ROLLBACK"),
            format!("SAVEPOINT a; {first} RELEASE a; {second} ROLLBACK"),
            format!("SAVEPOINT a; {first} SAVEPOINT b; {second} RELEASE b; RELEASE a; ROLLBACK"),
            format!(
                "SAVEPOINT a; {first} ROLLBACK TO a; INSERT INTO small (v) VALUES ('kept'); COMMIT"
            ),
            format!("SAVEPOINT a; {first} ROLLBACK TO a; SAVEPOINT b; {second} ROLLBACK"),
            "INSERT INTO small (v) VALUES ('after'); COMMIT".to_owned(),
        ] {
            run(&source, &format!("BEGIN; {ends}")).await;
        }
        let link = field.streaming().await;
        field.end(link).await;
        field.assert_equal("rolled back");
    }
}

/// Three transactions take turns; one of them is rolled back, and the last to begin ends first.
async fn transactions_that_are_open_side_by_side(ground: &Ground) {
    let field = ground.field("turns", SCHEMA).await;
    let link = field.streaming().await;
    let (one, two, three) = tokio::join!(client(&field), client(&field), client(&field));
    for open in [&one, &two, &three] {
        run(open, "BEGIN").await;
    }
    for turn in 0..12 {
        let (from, to) = (turn * 1000, turn * 1000 + 400);
        let rows = |table: &str, base: i64| {
            format!(
                "INSERT INTO {table} SELECT {base} + i, repeat('x', 60) FROM generate_series({from}, {to}) i;
                 UPDATE {table} SET v = v || 'y' WHERE id = {base} + {from}"
            )
        };
        run(&one, &rows("large", 0)).await;
        run(&two, &rows("large", 1_000_000)).await;
        run(&three, &rows("other", 0)).await;
        run(
            &one,
            &format!("INSERT INTO rows_only SELECT i, 'r' FROM generate_series({from}, {to}) i"),
        )
        .await;
        run(&client(&field).await, "INSERT INTO small (v) VALUES ('between')").await;
        if turn == 6 {
            run(&three, "SAVEPOINT s; DELETE FROM other; ROLLBACK TO s").await;
            run(&one, "SAVEPOINT s").await;
        }
    }
    run(&one, "ROLLBACK TO s; UPDATE large SET v = 'kept' WHERE id < 100000 AND id % 10 = 0").await;
    run(&three, "COMMIT").await;
    field.caught_up(&link).await;
    // A part of the two that are open was told already; the link loses its place in them.
    let cut = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL \
               AND database = current_database()";
    field.world.source.run(cut).await;
    run(&two, "ROLLBACK").await;
    run(&one, "DELETE FROM rows_only WHERE v % 7 = 0; COMMIT").await;
    field.end(link).await;
    field.assert_equal("side by side");
}

async fn savepoints_within_savepoints(ground: &Ground) {
    let field = ground.field("savepoints", SCHEMA).await;
    let link = field.streaming().await;
    let source = client(&field).await;
    run(&source, "BEGIN; INSERT INTO large SELECT i, 'outer' FROM generate_series(1, 3000) i")
        .await;
    for level in 1..8 {
        let from = level * 10_000;
        run(&source, &format!("SAVEPOINT s{level}; INSERT INTO large SELECT i, 'level' FROM generate_series({from}, {from} + 2000) i")).await;
        run(&source, &format!("UPDATE large SET v = v || '{level}' WHERE id % 100 = {level}"))
            .await;
        run(&source, "INSERT INTO rows_only SELECT 1, 'equal' FROM generate_series(1, 300)").await;
    }
    run(&source, "ROLLBACK TO s6; DELETE FROM large WHERE id % 11 = 0; RELEASE s5; SAVEPOINT t")
        .await;
    run(&source, "TRUNCATE rows_only; INSERT INTO large SELECT i, 'gone' FROM generate_series(200000, 203000) i; ROLLBACK TO t").await;
    run(
        &source,
        "ROLLBACK TO s3; INSERT INTO large SELECT i, 'last' FROM generate_series(300000, 303000) i",
    )
    .await;
    run(
        &source,
        "DELETE FROM rows_only WHERE ctid IN (SELECT ctid FROM rows_only LIMIT 100); COMMIT",
    )
    .await;
    // Wholly rolled back, after much of it was told.
    run(&source, "BEGIN; INSERT INTO large SELECT i, 'never' FROM generate_series(400000, 420000) i; ROLLBACK").await;
    // Many subtransactions, each caught or not.
    let caught = "DO $$BEGIN FOR i IN 500000..500600 LOOP BEGIN
            INSERT INTO large SELECT i * 10 + j, repeat('c', 90) FROM generate_series(0, 3) j;
            IF i % 4 = 0 THEN RAISE division_by_zero; END IF;
        EXCEPTION WHEN division_by_zero THEN UPDATE large SET v = 'caught' WHERE id = i % 3000; END; END LOOP; END$$";
    run(&source, caught).await;
    field.end(link).await;
    field.assert_equal("savepoints");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_transactions_arrive_when_they_are_committed_whatever_restarts_meanwhile() {
    for (source, target) in [(18, 18), (15, 15)] {
        let mut ground = ground(Pair { source, target }).await;
        let field = ground.field("prepared", SCHEMA).await;
        let link = field.streaming().await;
        let writer = client(&field).await;
        for (name, base, rows) in
            [("small", 0, 3), ("large", 100_000, 20_000), ("never", 200_000, 20_000)]
        {
            run(&writer, &format!("BEGIN; INSERT INTO large SELECT {base} + i, '{name}' FROM generate_series(1, {rows}) i;
                SAVEPOINT s; INSERT INTO other VALUES ({base}, 'no'); ROLLBACK TO s; UPDATE large SET v = 'first' WHERE id = {base} + 1;
                INSERT INTO rows_only VALUES ({rows}, 'x'), ({rows}, 'x'); PREPARE TRANSACTION '{name}'")).await;
        }
        run(&writer, "INSERT INTO small (v) VALUES ('between')").await;
        field.caught_up(&link).await;
        assert_eq!(field.world.target.text("SELECT count(*)::text FROM large").await, "0");
        link.stop().await;
        drop(writer);
        let field = restarted(&mut ground, field).await;
        let link = field.streaming().await;
        field.caught_up(&link).await;
        let writer = client(&field).await;
        run(&writer, "COMMIT PREPARED 'large'").await;
        field.caught_up(&link).await;
        let count = "SELECT count(*)::text FROM large";
        assert_eq!(field.world.target.text(count).await, "20000", "{:?}", ground.pair);
        run(&writer, "ROLLBACK PREPARED 'never'").await;
        run(&writer, "COMMIT PREPARED 'small'").await;
        run(&writer, "UPDATE large SET v = 'last' WHERE v = 'first'").await;
        field.end(link).await;
        field.assert_equal("prepared transactions");
    }
}

/// The same databases after a crash of the source.
async fn restarted(ground: &mut Ground, mut field: Field) -> Field {
    // No other part of the test uses the server then.
    ground.east = Arc::clone(&ground.west);
    field.world.source.kill9();
    field.world.source.restart().await;
    ground.east = Arc::clone(&field.world.source.server);
    field
}

/// Ten million rows in one transaction; what the link's process ever had of memory is bounded.
#[tokio::test(flavor = "multi_thread")]
async fn soak_a_transaction_of_ten_million_rows_takes_bounded_memory() {
    play_the_link_if_told().await;
    let test = "battery::large::soak_a_transaction_of_ten_million_rows_takes_bounded_memory";
    memory(test, 10_000_000, Duration::from_secs(3_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_200_000_rows_takes_bounded_memory() {
    play_the_link_if_told().await;
    let test = "battery::large::a_transaction_of_200_000_rows_takes_bounded_memory";
    memory(test, 200_000, Duration::from_secs(100)).await;
}

/// 1 kB a row: 200,000 rows are 200 MB, more than the link may take.
async fn memory(test: &str, rows: u32, patience: Duration) {
    const MOST_KB: u64 = 200_000;
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("memory", SCHEMA).await;
    field.catch_up().await;
    let link = LinkProcess::start(test, &field);
    let insert = format!(
        "INSERT INTO large SELECT i, repeat(chr(65 + (i % 26)::int), 1000) FROM generate_series(1, {rows}) i"
    );
    field.world.source.run(&insert).await;
    let arrived = format!("SELECT EXISTS (SELECT FROM large WHERE id = {rows})::text");
    wait_for("all rows are there", patience, async || {
        field.world.target.text(&arrived).await == "true"
    })
    .await;
    let most = link.most_memory();
    println!("{rows} rows of 1 kB in one transaction: {most} kB");
    assert!(most < MOST_KB, "the link took {most} kB");
    drop(link);
    let sums = "SELECT concat_ws(' ', count(*), sum(id), sum(length(v))) FROM large";
    assert_eq!(field.world.source.text(sums).await, field.world.target.text(sums).await);
}
