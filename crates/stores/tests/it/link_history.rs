//! What a source keeps for a link: told before its bound is reached, and let go where nothing
//! needs it.

use crate::link_world::{LONG, Servers, World, server, server_with, stopped, streaming};
use mainstay_core::{LinkStatus, Retained};
use mainstay_stores::postgres::link::Link;
use mainstay_testkit::{Options, wait_for, wait_for_value};
use std::sync::Arc;
use std::time::Duration;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text)";
const MEGABYTE: u64 = 1 << 20;
/// A whole file of history: 16 MB.
const FILE: &str = "SELECT pg_switch_wal(); SELECT pg_logical_emit_message(true, 'test', 'more')";

async fn retained(link: &Link, what: &str, wanted: impl Fn(&Retained) -> bool) -> Retained {
    wait_for_value(what, LONG, async || match link.status() {
        LinkStatus { retained: Some(retained), .. } if wanted(&retained) => Some(retained),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stands_still_tells_how_much_history_may_still_be_kept_for_it() {
    let bounded = Options::default().set("max_slot_wal_keep_size", "128MB");
    let (east, west) = tokio::join!(server_with(bounded), server());
    let world = World::between(&east, &west, "bank", TABLE).await;
    let link = world.streaming().await;
    let calm = retained(&link, "what is kept is known", |_| true).await;
    assert!(!calm.is_scarce() && calm.is_ample(), "{calm:?}");
    assert_eq!(calm.bound, Some(128 * MEGABYTE), "{calm:?}");

    let still = link.pause(LONG).await.unwrap();
    world.source.run("INSERT INTO t VALUES (1, 'waits')").await;
    for _ in 0..7 {
        world.source.run(FILE).await;
    }
    let scarce = retained(&link, "little is left", Retained::is_scarce).await;
    assert!(scarce.left < Some(32 * MEGABYTE) && scarce.bytes > 96 * MEGABYTE, "{scarce:?}");
    // A heartbeat may have been written between the two looks.
    let unlike = format!(
        "SELECT (abs(safe_wal_size - {}) + abs(pg_current_wal_lsn() - restart_lsn - {}))::int8::text \
         FROM pg_replication_slots",
        scarce.left.unwrap(),
        scarce.bytes
    );
    let unlike: u64 = world.source.text(&unlike).await.parse().unwrap();
    assert!(unlike < MEGABYTE, "the server says otherwise by {unlike} bytes: {scarce:?}");

    drop(still);
    world.caught_up(&link).await;
    // Without a checkpoint, which would drop the history of a slot that did not move on before.
    wait_for("enough is left again", Duration::from_secs(60), async || {
        link.status().retained.is_some_and(|retained| retained.is_ample())
    })
    .await;
    link.stop().await;
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_stopped_still_tells_what_is_kept_for_it() {
    let world = World::start(TABLE).await;
    let link = world.streaming().await;
    world.target.run("DROP TABLE t").await;
    world.source.run("INSERT INTO t VALUES (1, 'a')").await;
    stopped(&link).await;
    let before = retained(&link, "what is kept is known", |_| true).await;
    assert_eq!((before.left, before.bound), (None, None), "without a bound");
    world.source.run(FILE).await;
    world.source.run(FILE).await;
    let grown = |now: &Retained| now.bytes > before.bytes + 17 * MEGABYTE;
    let now = retained(&link, "more is kept", grown).await;
    assert!(!now.is_scarce(), "{now:?}");
    link.stop().await;
}

/// The history of one server is that of all its databases: a slot that stood still with its own
/// database would hold it all back.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_an_idle_database_moves_while_another_one_is_busy() {
    let servers = Servers::start().await;
    let idle = servers.world("idle", TABLE).await;
    let link = idle.link();
    streaming(&link).await;
    let east = Arc::clone(&idle.source.server);
    let busy = east.create_database("busy").await;
    busy.batch_execute("CREATE TABLE much (v text)").await.unwrap();
    let write = "INSERT INTO much SELECT repeat('x', 1000) FROM generate_series(1, 10000)";
    busy.batch_execute(write).await.unwrap();
    let mark = idle.source_end().await;
    let slot = format!(
        "SELECT (restart_lsn >= '{mark}' AND confirmed_flush_lsn >= '{mark}')::text \
         FROM pg_replication_slots WHERE database = 'idle'"
    );
    wait_for("the slot moves on", LONG, async || {
        busy.batch_execute(write).await.unwrap();
        busy.batch_execute("CHECKPOINT").await.unwrap();
        idle.source.text(&slot).await == "true"
    })
    .await;
    link.stop().await;
}
