//! What does not heal by itself stops the link with a code and a sentence, and skips nothing.

use crate::link_world::{LONG, Servers, World, server, stopped, streaming};
use mainstay_core::{Epoch, LinkPhase};
use mainstay_stores::postgres::link;
use mainstay_testkit::{Options, Postgres, wait_for};
use std::sync::Arc;
use std::time::Duration;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text, w int); \
     INSERT INTO t VALUES (1, 'a'); CREATE TABLE fresh (id int PRIMARY KEY)";

/// Each case breaks something at the target, makes the link stop, and names code and words.
struct Case {
    name: &'static str,
    at_target: &'static str,
    change: &'static str,
    code: &'static str,
    words: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "an update of a row that the target does not have",
        at_target: "DELETE FROM t",
        change: "UPDATE t SET v = 'b'",
        code: "MS-PG-208",
        words: "update found 0 rows",
    },
    Case {
        name: "a delete of a row that the target does not have",
        at_target: "DELETE FROM t",
        change: "DELETE FROM t",
        code: "MS-PG-208",
        words: "delete found 0 rows",
    },
    Case {
        name: "a row that the target has already",
        at_target: "INSERT INTO t VALUES (2, 'stranger')",
        change: "INSERT INTO t VALUES (2, 'b')",
        code: "MS-PG-209",
        words: "public.t",
    },
    Case {
        name: "a column that the target does not have",
        at_target: "ALTER TABLE t DROP w",
        change: "INSERT INTO t VALUES (2, 'b', 3)",
        code: "MS-PG-207",
        words: "the column w of public.t does not exist",
    },
    Case {
        name: "a column that only the target has",
        at_target: "ALTER TABLE t ADD x int",
        change: "INSERT INTO t VALUES (2, 'b')",
        code: "MS-PG-207",
        words: "does not exist at the source",
    },
    Case {
        name: "a column of another type",
        at_target: "ALTER TABLE t ALTER v TYPE varchar(5)",
        change: "INSERT INTO t VALUES (2, 'b')",
        code: "MS-PG-207",
        words: "another type",
    },
    Case {
        name: "a table that the target does not have",
        at_target: "DROP TABLE fresh",
        change: "INSERT INTO fresh VALUES (1)",
        code: "MS-PG-207",
        words: "public.fresh does not exist",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_heal_stops_the_link() {
    let servers = Servers::start().await;
    tokio::join!(
        a_change_that_does_not_fit_stops_the_link_where_it_stands(&servers),
        a_stale_epoch_applies_nothing_at_the_start_or_under_way(&servers),
        a_target_or_source_that_was_set_back_stops_the_link(&servers),
        a_publication_that_was_away_for_a_moment_stops_the_link(&servers),
        a_publication_that_leaves_changes_out_stops_the_link(&servers),
    );
}

async fn a_change_that_does_not_fit_stops_the_link_where_it_stands(servers: &Servers) {
    for (number, case) in CASES.iter().enumerate() {
        let world = servers.world(&format!("case{number}"), TABLE).await;
        let link = world.streaming().await;
        let before = world.caught_up(&link).await;
        world.target.run(case.at_target).await;
        world.source.run(case.change).await;
        let (code, reason) = stopped(&link).await;
        assert_eq!(code, case.code, "{}: {reason}", case.name);
        assert!(reason.contains(case.words), "{}: {reason}", case.name);
        assert_eq!(link.status().lag.known(), None, "{}", case.name);
        link.stop().await;
        let position = "SELECT position::text FROM mainstay.link";
        let position = world.target.text(position).await.parse().unwrap();
        assert!(before <= position, "{}", case.name);
        let count = world.target.text("SELECT count(*)::text FROM t WHERE v = 'b'").await;
        assert_eq!(count, "0", "{}: nothing of the transaction is there", case.name);
    }
}

async fn a_stale_epoch_applies_nothing_at_the_start_or_under_way(servers: &Servers) {
    let world = servers.world("epoch", TABLE).await;
    let link = world.streaming().await;
    // Another holder claims the target while this link runs.
    world.target.run("UPDATE mainstay.link SET epoch = 2").await;
    world.source.run("INSERT INTO t VALUES (2, 'b')").await;
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-110", "{reason}");
    link.stop().await;
    let stale = world.link();
    assert_eq!(stopped(&stale).await.0, "MS-PG-110");
    stale.stop().await;
    assert_eq!(world.target.text("SELECT count(*)::text FROM t").await, "1");

    let mut spec = world.spec();
    spec.epoch = Epoch::new(2);
    let link = link::start(spec);
    streaming(&link).await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_lost_or_gone_stops_the_link_and_never_starts_it_afresh() {
    let options = || Options::default().fsync(false).set("max_slot_wal_keep_size", "16MB");
    let start = move || Arc::new(Postgres::start(options().set("min_wal_size", "32MB")));
    let (east, west) = tokio::join!(tokio::task::spawn_blocking(start), server());
    let world = World::between(&east.unwrap(), &west, "bank", TABLE).await;
    world.streaming().await.stop().await;
    let churn = "SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000000)), pg_switch_wal()";
    let lost = "SELECT count(*)::text FROM pg_replication_slots WHERE wal_status = 'lost'";
    wait_for("the slot is lost", LONG, async || {
        world.source.run(churn).await;
        world.source.run("CHECKPOINT").await;
        world.source.text(lost).await == "1"
    })
    .await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-121", "{reason}");
    link.stop().await;

    let slot = world.spec().slot();
    world.source.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-120", "{reason}");
    link.stop().await;
    assert_eq!(world.slots().await, "0", "no fresh start");
}

async fn a_target_or_source_that_was_set_back_stops_the_link(servers: &Servers) {
    let world = servers.world("rewound", TABLE).await;
    let link = world.streaming().await;
    let early = world.caught_up(&link).await;
    world.source.run("INSERT INTO t VALUES (2, 'b')").await;
    let late = world.caught_up(&link).await;
    let confirmed = format!(
        "SELECT (confirmed_flush_lsn >= '{late}')::text FROM pg_replication_slots \
         WHERE slot_name = '{}'",
        world.spec().slot()
    );
    wait_for("the source has heard", Duration::from_secs(60), async || {
        world.source.text(&confirmed).await == "true"
    })
    .await;
    link.stop().await;
    // As from a backup of the target.
    world.target.run(&format!("UPDATE mainstay.link SET position = '{early}'")).await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-203", "{reason}");
    link.stop().await;
    // As from a backup of the source.
    world.target.run("UPDATE mainstay.link SET position = 'FF/0'").await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-204", "{reason}");
    assert!(matches!(link.status().phase, LinkPhase::Stopped { .. }));
    link.stop().await;
}

/// PostgreSQL 18 leaves out what was changed meanwhile, with no more than a warning.
async fn a_publication_that_was_away_for_a_moment_stops_the_link(servers: &Servers) {
    let world = servers.world("away", TABLE).await;
    let link = world.streaming().await;
    let before = world.caught_up(&link).await;
    // In separate transactions, faster than anybody looks.
    for sql in [
        "DROP PUBLICATION mainstay",
        "INSERT INTO t VALUES (2, 'left out')",
        "CREATE PUBLICATION mainstay FOR ALL TABLES",
        "INSERT INTO t VALUES (3, 'c')",
    ] {
        world.source.run(sql).await;
    }
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-104", "{reason}");
    assert_eq!(world.target.text("SELECT count(*)::text FROM t").await, "1", "after {before}");
    link.stop().await;
}

async fn a_publication_that_leaves_changes_out_stops_the_link(servers: &Servers) {
    let world = servers.world("partial", TABLE).await;
    let link = world.streaming().await;
    world.source.run("ALTER PUBLICATION mainstay SET (publish = 'insert')").await;
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-104", "{reason}");
    link.stop().await;
}

/// Both sites' agents begin at once: the standby's link may look before the source is prepared.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_prepared_yet_is_waited_for_before_the_first_copy() {
    let world = World::start(TABLE).await;
    world.source.run("DROP PUBLICATION mainstay").await;
    let link = world.link();
    wait_for("the link says what it waits for", LONG, async || match link.status().phase {
        LinkPhase::Disconnected { reason } => reason.contains("is not prepared yet"),
        LinkPhase::Stopped { code, reason } => panic!("{code}: {reason}"),
        _ => false,
    })
    .await;
    mainstay_stores::postgres::setup::prepare(&world.source.endpoint).await.unwrap();
    streaming(&link).await;
    world.caught_up(&link).await;
    world.assert_equal();
}
