//! Positions and lag: what a link says of itself is true.

use crate::link_world::{LONG, Servers, World};
use mainstay_core::LinkPhase;
use mainstay_stores::postgres::link::WaitError;
use mainstay_testkit::wait_for;
use std::time::Duration;

const TABLE: &str = "CREATE TABLE t (id bigserial PRIMARY KEY, v text)";

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_is_right_when_idle_when_behind_and_unknown_when_silent() {
    let mut world = World::start(TABLE).await;
    let link = world.streaming().await;
    wait_for("an idle link has no lag", LONG, async || {
        link.status().lag.is_within(Duration::from_millis(1))
    })
    .await;
    // Idle, it stays so, looked at many times over longer than any of its timers.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert!(link.status().lag.is_within(Duration::from_millis(1_500)), "{:?}", link.status());
    }

    let locker = world.target.server.client("bank").await;
    locker.batch_execute("BEGIN; LOCK TABLE public.t").await.unwrap();
    let before = std::time::Instant::now();
    world.source.run("INSERT INTO t (v) VALUES ('late')").await;
    // It grows with the age of what waits, and is no more than that and the time between two looks
    // at the source.
    wait_for("the lag grows", LONG, async || {
        let lag = link.status().lag.known().expect("known while both sides answer");
        let age = before.elapsed();
        assert!(lag <= age + Duration::from_secs(2), "age {age:?}, lag {lag:?}");
        lag > Duration::from_secs(4)
    })
    .await;
    locker.batch_execute("COMMIT").await.unwrap();
    wait_for("it caught up", LONG, async || link.status().lag.is_within(Duration::ZERO)).await;

    world.source.kill9();
    wait_for("the link notices", LONG, async || {
        matches!(link.status().phase, LinkPhase::Disconnected { .. })
    })
    .await;
    assert_eq!(link.status().lag.known(), None);
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_exact() {
    let servers = Servers::start().await;
    tokio::join!(
        an_idle_source_moves_its_slot_and_the_position_follows(&servers),
        a_pause_stands_exactly_where_it_was_asked_to_and_goes_on_afterwards(&servers),
        a_paused_target_equals_the_sources_snapshot_at_that_position(&servers),
        a_paused_link_goes_on_when_a_failover_needs_all_that_was_received(&servers),
        changes_of_rows_that_were_put_right_are_skipped_until_their_snapshot(&servers),
    );
    a_backlog_is_applied_whole_and_its_speed_is_told(&servers).await;
}

async fn an_idle_source_moves_its_slot_and_the_position_follows(servers: &Servers) {
    let world = servers.world("idle", TABLE).await;
    let link = world.streaming().await;
    // Work in another database of the same server, and in Mainstay's own tables.
    let other = world.source.server.create_database("other").await;
    other.batch_execute("CREATE TABLE busy AS SELECT generate_series(1, 1000)").await.unwrap();
    world.source.run("UPDATE mainstay.site SET epoch = epoch + 1").await;
    let end = world.source_end().await;
    let moved = format!(
        "SELECT (confirmed_flush_lsn >= '{end}')::text FROM pg_replication_slots \
         WHERE slot_name = '{}'",
        world.spec().slot()
    );
    wait_for("the slot moves", Duration::from_secs(60), async || {
        world.source.text(&moved).await == "true"
    })
    .await;
    let position = "SELECT (position >= '{}')::text FROM mainstay.link";
    let position = position.replace("{}", &end.to_string());
    assert_eq!(world.target.text(&position).await, "true", "durable before it is confirmed");
    assert_eq!(link.status().transactions, 0);
    link.stop().await;
}

async fn a_pause_stands_exactly_where_it_was_asked_to_and_goes_on_afterwards(servers: &Servers) {
    let world = servers.world("pause", TABLE).await;
    let link = world.streaming().await;
    let writer = world.source.server.client("pause").await;
    let writing = tokio::spawn(async move {
        for number in 0..400 {
            let insert = format!("INSERT INTO public.t (v) VALUES ('{number}')");
            writer.batch_execute(&insert).await.unwrap();
        }
    });
    for _ in 0..5 {
        let mut paused = link.pause(LONG).await.unwrap();
        assert_eq!(link.pause(LONG).await.err(), Some(WaitError::Busy));
        // The load goes on, and nothing of it may be applied.
        tokio::time::sleep(Duration::from_millis(30)).await;
        // Within one statement, the count and the position belong together: the row's transaction
        // is the last before that position.
        let seen =
            "WITH t AS (INSERT INTO t (v) VALUES ('mark') RETURNING id) SELECT id::text FROM t";
        let marked = world.source.text(seen).await;
        let at = world.source_end().await;
        paused.advance_to(at, LONG).await.unwrap();
        let there = format!("SELECT count(*)::text FROM t WHERE id = {marked}");
        assert_eq!(world.target.text(&there).await, "1", "everything up to the position");
        let position = world.target.text("SELECT position::text FROM mainstay.link").await;
        assert!(position.parse::<mainstay_core::position::Lsn>().unwrap() <= at);
        let count = world.target.text("SELECT count(*)::text FROM t").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.target.text("SELECT count(*)::text FROM t").await, count, "nothing more");
        drop(paused);
    }
    writing.await.unwrap();
    let end = world.caught_up(&link).await;
    world.source.run("INSERT INTO t (v) VALUES ('last')").await;
    let applied = world.caught_up(&link).await;
    assert!(applied > end);
    let passed = link.pause_at(end, LONG).await.err().unwrap();
    assert_eq!(passed.code(), "MS-PG-221", "{passed}");
    link.stop().await;
    world.assert_equal();
}

/// A comparison that waits for a source that is gone must not hold up the failover.
async fn a_paused_link_goes_on_when_a_failover_needs_all_that_was_received(servers: &Servers) {
    let world = servers.world("needed", TABLE).await;
    let link = world.streaming().await;
    let mut paused = link.pause(LONG).await.unwrap();
    world.source.run("INSERT INTO t (v) VALUES ('received, not applied')").await;
    let end = world.source_end().await;
    let received = async || link.status().received.is_some_and(|at| at.lsn() >= Some(end));
    wait_for("it is received", LONG, received).await;
    assert_eq!(world.target.text("SELECT count(*)::text FROM t").await, "0");
    link.drain_received(LONG).await.unwrap();
    assert_eq!(world.target.text("SELECT count(*)::text FROM t").await, "1");
    let late = paused.advance_to(end, LONG).await.err();
    assert_eq!(late, Some(WaitError::LetGo), "who held it may not believe that it still stands");
    drop(paused);
    link.stop().await;
}

/// The exact cut: rows of transactions up to the position, by the source's own snapshot there.
async fn a_paused_target_equals_the_sources_snapshot_at_that_position(servers: &Servers) {
    use mainstay_stores::postgres::replication::{Replication, SlotLife};
    let world = servers.world("exact", TABLE).await;
    let link = world.streaming().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..3 {
        let (client, stop) = (world.source.server.client("exact").await, stop.clone());
        writers.push(tokio::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let sql = "INSERT INTO public.t (v) VALUES (clock_timestamp()::text);
                           UPDATE public.t SET v = v || '.' WHERE id = (SELECT max(id) FROM public.t)";
                client.batch_execute(sql).await.unwrap();
            }
        }));
    }
    const SUM: &str =
        "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY id), '')) FROM public.t";
    for round in 0..4 {
        let mut paused = link.pause(LONG).await.unwrap();
        let mut slots = Replication::connect(&world.source.endpoint, "test").await.unwrap();
        let slot = slots.create_slot(&format!("at_{round}"), SlotLife::Temporary).await.unwrap();
        paused.advance_to(slot.consistent_point, LONG).await.unwrap();
        let reader = world.source.server.client("exact").await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT";
        reader.batch_execute(&format!("{begin} '{}'", slot.snapshot)).await.unwrap();
        let source: String = reader.query_one(SUM, &[]).await.unwrap().get(0);
        assert_eq!(source, world.target.text(SUM).await, "round {round}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

async fn changes_of_rows_that_were_put_right_are_skipped_until_their_snapshot(servers: &Servers) {
    let world = servers.world("right", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let link = world.streaming().await;
    let from = world.caught_up(&link).await;
    link.stop().await;
    // The target has row 1 already as it will be at `until`.
    world.target.run("INSERT INTO t VALUES (1, 'as of until')").await;
    world.source.run("INSERT INTO t VALUES (1, 'old'), (2, 'b')").await;
    world.source.run("UPDATE t SET v = 'as of until' WHERE id = 1").await;
    let until = world.source_end().await;
    let named = format!(
        "INSERT INTO mainstay.put_right VALUES ('right/db/east->west', 'public.t', '{{id}}', '[\"1\"]', '{until}');
         UPDATE mainstay.link SET position = '{from}'"
    );
    world.target.run(&named).await;
    world.source.run("UPDATE t SET v = 'later' WHERE id = 1").await;
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    assert_eq!(world.target.text("SELECT count(*)::text FROM mainstay.put_right").await, "0");
}

async fn a_backlog_is_applied_whole_and_its_speed_is_told(servers: &Servers) {
    let world = servers.world("backlog", TABLE).await;
    let link = world.streaming().await;
    let start = std::time::Instant::now();
    world.source.run("INSERT INTO t (v) VALUES ('x')").await;
    world.caught_up(&link).await;
    let one = start.elapsed();

    // A backlog of small transactions, made while the link stands still.
    let paused = link.pause(LONG).await.unwrap();
    let many = "DO $$BEGIN FOR i IN 1..5000 LOOP INSERT INTO t (v) VALUES (i); \
                INSERT INTO t (v) VALUES (-i); COMMIT; END LOOP; END$$";
    world.source.run(many).await;
    let end = world.source_end().await;
    drop(paused);
    let start = std::time::Instant::now();
    link.drain_to(end, LONG).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!("one row: {one:?}; backlog: {:.0} tx/s, {:.0} rows/s", 5e3 / seconds, 1e4 / seconds);
    link.stop().await;
    world.assert_equal();
}
