//! Sources that are not what they were: a standby that was promoted in their place.

use super::ground::{Field, Ground, Pair};
use crate::link_world::{LONG, World, stopped, streaming};
use mainstay_core::{LinkPhase, Position};
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_testkit::{Options, Postgres, wait_for};
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

/// A new timeline has no slot, or one that was made there: the changes in between are not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_failed_over_to_its_standby_stops_the_link() {
    let failover = Failover::play(50).await;
    let (code, reason) = failover.stops().await;
    assert_eq!(code, "MS-PG-204", "{reason}");
    assert!(reason.contains("timeline 2, which left timeline 1 at 0/"), "{reason}");
    // Somebody makes the slot by hand, and the new timeline goes on.
    failover.write(5_000).await;
    failover.make_slot().await;
    let (code, reason) = failover.stops().await;
    assert!(code.starts_with("MS-PG-20"), "{code}: {reason}");
    failover.nothing_was_applied().await;
}

/// The slot is as good as one that PostgreSQL keeps in step at a standby: its position is before
/// the target's. But the target is further than where the timelines part.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_timeline_that_parted_before_the_targets_position_stops_the_link() {
    let failover = Failover::play(30_000).await;
    failover.make_slot().await;
    failover.write(60_000).await;
    let (code, reason) = failover.stops().await;
    assert_eq!(code, "MS-PG-204", "{reason}");
    failover.nothing_was_applied().await;
}

/// The standby had everything that the target has, and its slot was there before: nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_timeline_that_parted_later_with_a_slot_of_its_own_goes_on() {
    let options = Options::default().set("hot_standby_feedback", "on");
    let mut ground = Ground::start_with(Pair::USUAL, options).await;
    let mut field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (link, spec) = (field.streaming().await, field.spec());
    let (standby, there) = standby_of(&field).await;
    make_slot_at_standby(&field, &there, &spec.slot()).await;
    field.world.source.run("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 1000) i").await;
    field.caught_up(&link).await;
    link.stop().await;
    let position = field.world.target.text("SELECT position::text FROM mainstay.link").await;
    wait_for("the standby has all that the target has", LONG, async || {
        let has = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
        there.query_one(has, &[&position]).await.unwrap().get(0)
    })
    .await;
    ground.east = Arc::clone(&ground.west);
    field.world.source.kill9();
    there.batch_execute("SELECT pg_promote()").await.unwrap();
    there
        .batch_execute("INSERT INTO public.t SELECT i, 'new' FROM generate_series(1001, 1500) i")
        .await
        .unwrap();

    let link = link::start(LinkSpec { source: standby.endpoint("bank"), ..spec });
    wait_for("the new timeline's rows arrive", LONG, async || {
        let count = "SELECT count(*) || ' ' || count(*) FILTER (WHERE v = 'new') FROM t";
        let status = link.status();
        assert!(!matches!(status.phase, LinkPhase::Stopped { .. }), "{status:?}");
        field.world.target.text(count).await == "1500 500"
    })
    .await;
    link.stop().await;
    let written = "SELECT source_timeline || ' left ' || source_history FROM mainstay.link";
    let written = field.world.target.text(written).await;
    assert!(written.starts_with("2 left 1 0/"), "{written}");
}

/// The target has applied nothing that the new timeline lacks; but the running link has received it,
/// and will apply it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_timeline_that_parted_before_what_was_received_stops_the_running_link() {
    let options = Options::default().set("hot_standby_feedback", "on");
    let mut ground = Ground::start_with(Pair::USUAL, options).await;
    let mut field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let way = Way::to(field.world.source.server.port()).await;
    let mut spec = field.spec();
    spec.source.port = way.port;
    let link = link::start(spec.clone());
    streaming(&link).await;
    let (standby, there) = standby_of(&field).await;
    make_slot_at_standby(&field, &there, &spec.slot()).await;
    field.world.source.run("INSERT INTO t VALUES (1, 'old')").await;
    field.caught_up(&link).await;
    let still = link.pause(LONG).await.unwrap();
    wait_for("the standby has all that is applied", LONG, async || {
        let has = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", still.at());
        there.query_one(&has, &[]).await.unwrap().get(0)
    })
    .await;
    cut_off(&field, &there).await;
    field.world.source.run("INSERT INTO t VALUES (2, 'received')").await;
    let end = field.world.source_end().await;
    wait_for("it is received", LONG, async || {
        link.status().received >= Some(Position::Postgres(end))
    })
    .await;
    ground.east = Arc::clone(&ground.west);
    field.world.source.kill9();
    there.batch_execute("SELECT pg_promote()").await.unwrap();
    let write = "INSERT INTO public.t SELECT i, repeat('new', 500) FROM generate_series(2, 5000) i";
    there.batch_execute(write).await.unwrap();
    way.leads_to(standby.port());

    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-204", "{reason}");
    assert!(reason.contains("which left timeline 1 at"), "{reason}");
    drop(still);
    let rows = "SELECT string_agg(id || v, ' ' ORDER BY id) FROM t";
    wait_for("what was received is applied", LONG, async || {
        field.world.target.text(rows).await == "1old 2received"
    })
    .await;
    link.stop().await;
    assert_eq!(field.world.target.text(rows).await, "1old 2received");
}

/// With a slot of the right name and tables of the same names, at a position further on.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_in_the_sources_place_stops_the_link() {
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    field.streaming().await.stop().await;
    let other = World::start("CREATE TABLE t (id int PRIMARY KEY, v text)").await.source;
    let spec = LinkSpec { source: other.endpoint.clone(), ..field.spec() };
    let make = format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", spec.slot());
    other.run(&make).await;
    other.run("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 60000) i").await;
    let link = link::start(spec);
    let (code, reason) = stopped(&link).await;
    link.stop().await;
    assert_eq!(code, "MS-PG-204", "{reason}");
    let system = "SELECT system_identifier::text FROM pg_control_system()";
    for side in [&field.world.source, &other] {
        let system = side.text(system).await;
        assert!(reason.contains(&system), "{system} in {reason}");
    }
    assert_eq!(field.world.target.text("SELECT count(*)::text FROM t").await, "0");
}

/// As after an update of Mainstay: nothing is known of the timeline, which is learnt then.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_without_a_timeline_goes_on_and_the_timeline_is_written_down() {
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    field.streaming().await.stop().await;
    let target = &field.world.target;
    let old = "ALTER TABLE mainstay.link DROP COLUMN source_system, \
               DROP COLUMN source_timeline, DROP COLUMN source_history";
    target.run(old).await;
    mainstay_stores::postgres::setup::prepare(&target.endpoint).await.unwrap();
    field.catch_up().await;
    let written = target
        .text("SELECT source_system || ' ' || source_timeline || source_history FROM mainstay.link")
        .await;
    let system = "SELECT system_identifier || ' 1' FROM pg_control_system()";
    assert_eq!(written, field.world.source.text(system).await);
}

async fn standby_of(field: &Field) -> (Postgres, Client) {
    let primary = Arc::clone(&field.world.source.server);
    let standby = tokio::task::spawn_blocking(move || Postgres::start_standby(&primary)).await;
    let standby = standby.unwrap();
    let there = standby.client("bank").await;
    (standby, there)
}

/// The standby receives nothing more.
async fn cut_off(field: &Field, there: &Client) {
    there.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
    there.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    wait_for("the standby receives no more", LONG, async || {
        let none = "SELECT count(*)::text FROM pg_stat_replication \
                    WHERE application_name = 'walreceiver'";
        field.world.source.text(none).await == "0"
    })
    .await;
}

/// A port of this machine that leads to a server, and later on to another one.
struct Way {
    port: u16,
    to: Arc<AtomicU16>,
}

impl Way {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(server));
        let leads = Arc::clone(&to);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                // A server that is gone closes the connection.
                let to = leads.load(SeqCst);
                if let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await {
                    tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
                }
            }
        });
        Self { port, to }
    }

    fn leads_to(&self, server: u16) {
        self.to.store(server, SeqCst);
    }
}

/// At a standby a slot waits for the primary to tell which transactions are open.
async fn make_slot_at_standby(field: &Field, there: &Client, slot: &str) {
    let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    let making = there.batch_execute(&make);
    tokio::pin!(making);
    loop {
        tokio::select! {
            made = &mut making => return made.unwrap(),
            // The slot waits for a record of the primary; it may need more than one.
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                field.world.source.run("SELECT pg_log_standby_snapshot()").await;
            }
        }
    }
}

struct Failover {
    field: Field,
    standby: Postgres,
    there: Client,
    spec: LinkSpec,
}

impl Failover {
    /// The primary is killed after the target has `ahead` rows that the standby never got.
    async fn play(ahead: u32) -> Self {
        let mut ground = Ground::start(Pair::USUAL).await;
        let mut field = ground.field("bank", "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let link = field.streaming().await;
        field.world.source.run("INSERT INTO t VALUES (1, 'a')").await;
        let (standby, there) = standby_of(&field).await;
        wait_for("the standby has the row", LONG, async || {
            let count = there.query_one("SELECT count(*) FROM public.t", &[]).await.unwrap();
            count.get::<_, i64>(0) == 1
        })
        .await;
        // It is stopped before the rows are written: it cannot even receive them.
        cut_off(&field, &there).await;
        let insert = format!("INSERT INTO t SELECT i, 'lost' FROM generate_series(2, {ahead}) i");
        field.world.source.run(&insert).await;
        field.caught_up(&link).await;
        link.stop().await;
        // Nobody else uses the primary.
        ground.east = Arc::clone(&ground.west);
        field.world.source.kill9();
        there.batch_execute("SELECT pg_promote()").await.unwrap();
        let spec = LinkSpec { source: standby.endpoint("bank"), ..field.spec() };
        Self { field, standby, there, spec }
    }

    async fn stops(&self) -> (String, String) {
        let link = link::start(self.spec.clone());
        let why = stopped(&link).await;
        link.stop().await;
        why
    }

    async fn make_slot(&self) {
        let slot = self.spec.slot();
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        self.there.batch_execute(&make).await.unwrap();
    }

    async fn write(&self, rows: u32) {
        let write = format!(
            "INSERT INTO public.t SELECT i, 'new' FROM generate_series(100000, 100000 + {rows}) i"
        );
        self.there.batch_execute(&write).await.unwrap();
    }

    async fn nothing_was_applied(&self) {
        let count = "SELECT count(*)::text FROM t WHERE v = 'new'";
        assert_eq!(self.field.world.target.text(count).await, "0", "{}", self.standby.port());
    }
}
