//! Lost connections and servers: nothing is missing, nothing is applied twice.

use crate::link_world::{LONG, World, streaming};
use mainstay_core::LinkPhase;
use mainstay_core::estate::Durability;
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_testkit::{Postgres, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// `sum` grows with every insert, by triggers that fire at the source only: a row that was applied
/// twice or not at all shows in it, and updates of the one row show a lost order.
const SCHEMA: &str = "
    CREATE TABLE entry (id bigserial PRIMARY KEY, amount int NOT NULL, note text);
    CREATE TABLE sum (one int PRIMARY KEY, total bigint NOT NULL);
    CREATE TABLE loose (amount int); ALTER TABLE loose REPLICA IDENTITY FULL;
    INSERT INTO sum VALUES (1, 0);
    CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE sum SET total = total + NEW.amount; RETURN NEW; END$$;
    CREATE TRIGGER add AFTER INSERT ON entry FOR EACH ROW EXECUTE FUNCTION add();";

const WORK: &str = "
    BEGIN; INSERT INTO entry (amount, note) SELECT i, repeat('n', i) FROM generate_series(1, 3) i;
    INSERT INTO loose VALUES (1), (1);
    DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose);
    UPDATE entry SET note = note || '!' WHERE id % 5 = 0 AND id > (SELECT max(id) - 20 FROM entry);
    COMMIT";

struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Load {
    async fn start(server: &Arc<Postgres>) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = server.client("bank").await;
        client.batch_execute("SET search_path = public").await.unwrap();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                client.batch_execute(WORK).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, done, task }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

/// Not a secret of statistics, but not in step with anything either.
fn random_millis(below: u64) -> Duration {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Duration::from_millis(u64::from(nanos.subsec_nanos()) / 1_000 % below)
}

const OURS: &str = "application_name LIKE 'mainstay %' AND pid <> pg_backend_pid() \
                    AND application_name NOT LIKE 'mainstay setup%'";

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_at_random_moments_lose_nothing_and_repeat_nothing() {
    let world = World::start(SCHEMA).await;
    let link = world.streaming().await;
    let load = Load::start(&world.source.server).await;
    let mut cut = 0;
    for round in 0..50 {
        // The moment of the cut is what is tried.
        tokio::time::sleep(random_millis(120)).await;
        let kill = format!(
            "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE {OURS}"
        );
        let sides = [&world.source, &world.target];
        for (side, at) in sides.iter().zip([round % 3 != 1, round % 3 != 0]) {
            if at {
                cut += side.text(&kill).await.parse::<u32>().unwrap();
            }
        }
        if round % 5 == 4 {
            streaming(&link).await;
        }
    }
    let done = load.end().await;
    world.caught_up(&link).await;
    println!("{cut} sessions cut under {done} transactions; {:?}", link.status());
    assert!(cut >= 30, "{cut} sessions were cut");
    link.stop().await;
    world.assert_equal();
    let total = world.target.text("SELECT total::text FROM sum").await;
    assert_eq!(total, (done * 6).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_dropped_and_started_anew_at_random_moments_repeats_nothing() {
    let world = World::start(SCHEMA).await;
    world.streaming().await.stop().await;
    let load = Load::start(&world.source.server).await;
    for round in 0..30 {
        let link = world.link();
        // The moment at which the link ends is what is tried.
        tokio::time::sleep(random_millis(150)).await;
        if round % 3 == 0 {
            link.stop().await;
        }
        // Otherwise it is dropped, and its sessions are left to themselves.
    }
    let done = load.end().await;
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    let total = world.target.text("SELECT total::text FROM sum").await;
    assert_eq!(total, (done * 6).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_killed_and_come_back_are_found_again() {
    let mut world = World::start(SCHEMA).await;
    let link = world.streaming().await;
    for round in 0..3 {
        let load = Load::start(&world.source.server).await;
        // Some load, as much as comes in this time.
        tokio::time::sleep(Duration::from_millis(200)).await;
        load.end().await;
        if round % 2 == 0 {
            world.source.kill9();
        }
        if round > 0 {
            world.target.kill9();
        }
        wait_for("the link notices", LONG, async || {
            matches!(link.status().phase, LinkPhase::Disconnected { .. })
        })
        .await;
        assert_eq!(link.status().lag.known(), None, "the lag is unknown while disconnected");
        // The target first: a source that shuts down waits until all it sent is applied.
        world.target.restart().await;
        world.source.restart().await;
        streaming(&link).await;
    }
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

/// The target writes its log late, so that it has lost commits that were visible already.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_lost_commits_made_durable_together_gets_them_again() {
    let mut world = World::start(SCHEMA).await;
    world.target.run("ALTER SYSTEM SET wal_writer_delay = '10s'").await;
    world.target.run("SELECT pg_reload_conf()").await;
    let link = link::start(LinkSpec { durability: Durability::Together, ..world.spec() });
    streaming(&link).await;
    let load = Load::start(&world.source.server).await;
    let entries = "SELECT coalesce(max(id), 0)::text FROM entry";
    let (mut sets_back, mut kills) = (0, 0);
    while sets_back < 3 && kills < 40 {
        // Time itself is the subject: the random moment of the kill is what is tried.
        tokio::time::sleep(Duration::from_millis(300) + random_millis(400)).await;
        let seen: u64 = world.target.text(entries).await.parse().unwrap();
        world.target.kill9();
        world.target.restart().await;
        let kept: u64 = world.target.text(entries).await.parse().unwrap();
        sets_back += u32::from(kept < seen);
        kills += 1;
        streaming(&link).await;
    }
    assert_eq!(sets_back, 3, "the target was set back in 3 of {kills} kills");
    let done = load.end().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    let total = world.target.text("SELECT total::text FROM sum").await;
    assert_eq!(total, (done * 6).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_is_applied_although_source_and_target_were_lost() {
    let mut world = World::start(SCHEMA).await;
    let link = world.streaming().await;
    // The applier waits for a lock while the source's changes arrive.
    let locker = world.target.server.client("bank").await;
    locker.batch_execute("BEGIN; LOCK TABLE public.sum").await.unwrap();
    for _ in 0..50 {
        world.source.run(WORK).await;
    }
    let end = world.source_end().await;
    wait_for("all is received", LONG, async || {
        link.status().received.is_some_and(|received| received.lsn() >= Some(end))
    })
    .await;
    let source = world.source.server.dump("bank");
    world.source.kill9();
    wait_for("the link notices", LONG, async || {
        matches!(link.status().phase, LinkPhase::Disconnected { .. })
    })
    .await;
    // The session that waits is cut, and so is the lock.
    world.target.restart().await;
    drop(locker);
    let applied = link.drain_received(LONG).await.unwrap();
    assert_eq!(link.stop().await, Some(applied));
    assert_eq!(world.target.server.dump("bank"), source);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_memory_allows_comes_whole_or_not_at_all() {
    let world =
        World::start("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0)").await;
    let link = world.streaming().await;
    let large = "INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 20000) i";
    world.source.run(large).await;
    let kill =
        format!("SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE {OURS}");
    let mut cut = 0;
    for side in [&world.target, &world.source, &world.target] {
        let rows = link.status().rows;
        wait_for("part of it is there", LONG, async || {
            link.status().rows > rows + 2_000
                || world.target.text("SELECT count(*)::text FROM t").await != "1"
        })
        .await;
        let seen = world.target.text("SELECT count(*)::text FROM t").await;
        assert!(seen == "1" || seen == "20001", "{seen} rows seen");
        cut += side.text(&kill).await.parse::<u32>().unwrap();
    }
    assert!(cut > 0);
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}
