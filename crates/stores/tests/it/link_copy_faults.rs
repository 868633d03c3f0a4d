//! A first copy that is cut off at any moment, under writes, goes on: both sides are equal in the
//! end, and no table that was recorded as copied was copied again.

use crate::link_world::{LONG, World, stopped, streaming};
use mainstay_core::LinkPhase;
use mainstay_stores::postgres::link::{self, CopyPlan, Link};
use mainstay_testkit::wait_for;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Tables of several sizes; `large` is read in ranges. Foreign keys lead from tables that are
/// copied late to those that are copied early, and back.
const SCHEMA: &str = "
    CREATE TABLE large (id bigserial PRIMARY KEY, v text, n int);
    CREATE INDEX large_n ON large (n);
    CREATE TABLE parent (id bigserial PRIMARY KEY, large bigint REFERENCES large, v text UNIQUE);
    CREATE TABLE child (id bigserial PRIMARY KEY, parent bigint NOT NULL REFERENCES parent,
                        twice bigint GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE loose (n int); ALTER TABLE loose REPLICA IDENTITY FULL;
    CREATE TABLE sum (one int PRIMARY KEY, total bigint NOT NULL);
    INSERT INTO sum VALUES (1, 0);
    CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE sum SET total = total + 1; RETURN NEW; END$$;
    CREATE TRIGGER add AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION add();
    INSERT INTO large (v, n) SELECT repeat(md5(i::text), 8), i % 100
        FROM generate_series(1, 30000) i;
    INSERT INTO parent (large, v) SELECT i, i::text FROM generate_series(1, 4000) i;
    INSERT INTO child (parent) SELECT i FROM generate_series(1, 3000) i;";

const WORK: &str = "
    BEGIN; INSERT INTO large (v, n) VALUES ('new', 1), ('newer', 2);
    INSERT INTO parent (large, v) SELECT max(id), 'p' || max(id) FROM large;
    INSERT INTO child (parent) SELECT max(id) FROM parent;
    UPDATE large SET v = v || '!' WHERE id IN (SELECT floor(random() * 30000)::int FROM
        generate_series(1, 3));
    DELETE FROM child WHERE id = (SELECT min(id) FROM child);
    INSERT INTO loose VALUES (1), (2); DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose);
    COMMIT";

const PLAN: CopyPlan = CopyPlan { workers: 3, split_above: 1 << 20, range: 1 << 20 };

struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Load {
    async fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = world.source.server.client(&world.name).await;
        client.batch_execute("SET search_path = public").await.unwrap();
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut done = 0;
            while !stopped.load(Ordering::Relaxed) {
                client.batch_execute(WORK).await.unwrap();
                done += 1;
            }
            done
        });
        Self { stop, task }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

fn start(world: &World) -> Link {
    link::start_with(world.spec(), PLAN)
}

/// Not a secret of statistics, but not in step with anything either.
fn random_millis(below: u64) -> Duration {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Duration::from_millis(u64::from(nanos.subsec_nanos()) / 1_000 % below)
}

/// The tables that are recorded as copied, with the file that each is kept in: a table that is
/// emptied or filled anew gets another one.
async fn recorded(world: &World) -> BTreeMap<String, String> {
    let list = "SELECT table_name, pg_relation_filenode(table_name::regclass)::text \
                FROM mainstay.copied WHERE at IS NOT NULL AND table_name LIKE 'public.%'";
    let rows = world.target.client.query(list, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn assert_kept(world: &World, known: &mut BTreeMap<String, String>) {
    let now = recorded(world).await;
    for (table, file) in known.iter() {
        let seen = now.get(table);
        assert!(seen.is_none_or(|seen| seen == file), "{table} was copied again");
    }
    known.extend(now);
}

const OURS: &str = "application_name LIKE 'mainstay %' AND pid <> pg_backend_pid() \
                    AND application_name NOT LIKE 'mainstay setup%'";

async fn position(world: &World) -> bool {
    let copied = "SELECT count(*)::text FROM mainstay.link WHERE position IS NOT NULL";
    world.target.text(copied).await == "1"
}

async fn heal(world: &World, load: Load) {
    let link = start(world);
    streaming(&link).await;
    let done = load.end().await;
    world.caught_up(&link).await;
    streaming(&link).await;
    link.stop().await;
    println!("{done} transactions were made meanwhile");
    assert!(done > 0);
    world.assert_equal();
    let kept =
        "SELECT (SELECT count(*) FROM mainstay.copy) + (SELECT count(*) FROM mainstay.unmade)";
    assert_eq!(world.target.text(&format!("SELECT ({kept})::text")).await, "0");
    assert_eq!(world.slots().await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_whose_link_is_dropped_at_random_moments_goes_on() {
    let world = World::start(SCHEMA).await;
    let load = Load::start(&world).await;
    let mut known = BTreeMap::new();
    let mut rounds = 0;
    while !position(&world).await && rounds < 40 {
        let link = start(&world);
        // The moment at which the link ends is what is tried; longer ones let it come further.
        tokio::time::sleep(random_millis(150 + rounds * 20)).await;
        drop(link);
        assert_kept(&world, &mut known).await;
        rounds += 1;
    }
    println!("{rounds} rounds; copied before the end: {known:?}");
    assert!(rounds > 1);
    heal(&world, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_whose_connections_are_cut_at_random_moments_goes_on() {
    let world = World::start(&format!("{SCHEMA}{SLOW}")).await;
    let load = Load::start(&world).await;
    let link = start(&world);
    let mut known = BTreeMap::new();
    for round in 0..8 {
        let side = if round % 2 == 0 { &world.source } else { &world.target };
        let ours = format!("SELECT count(*)::text FROM pg_stat_activity WHERE {OURS}");
        wait_for("the link is at work", LONG, async || {
            let status = link.status();
            assert!(!matches!(status.phase, LinkPhase::Stopped { .. }), "{status:?}");
            side.text(&ours).await != "0"
        })
        .await;
        // The moment of the cut is what is tried; later ones let the copy come further.
        tokio::time::sleep(random_millis(50 + round * 40)).await;
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE {OURS}"
        );
        println!("{} sessions are cut", side.text(&cut).await);
        assert_kept(&world, &mut known).await;
    }
    println!("copied before the end: {known:?}");
    streaming(&link).await;
    assert_kept(&world, &mut known).await;
    link.stop().await;
    heal(&world, load).await;
}

/// Makes the copy of the large table last for seconds.
const SLOW: &str = "
    CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS $$SELECT pg_sleep(0.001) IS NOT NULL$$;
    ALTER TABLE large ADD CHECK (id % 20 <> 0 OR public.slow());";

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_goes_on_when_either_server_was_killed() {
    let mut world = World::start(&format!("{SCHEMA}{SLOW}")).await;
    let link = world.link();
    let mut known = BTreeMap::new();
    for side in ["target", "source"] {
        wait_for("another table is copied", LONG, async || {
            recorded(&world).await.len() > known.len()
        })
        .await;
        assert_kept(&world, &mut known).await;
        assert!(!known.contains_key("public.large"), "the copy has not ended: {known:?}");
        let server = if side == "target" { &mut world.target } else { &mut world.source };
        server.kill9();
        server.restart().await;
        // What the other attempt copies is as of a later position.
        world.source.run(WORK).await;
        assert_kept(&world, &mut known).await;
        if known.len() == 4 {
            break;
        }
    }
    let load = Load::start(&world).await;
    wait_for("the link has a position", LONG, async || position(&world).await).await;
    assert_kept(&world, &mut known).await;
    streaming(&link).await;
    link.stop().await;
    heal(&world, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_whose_tables_were_changed_meanwhile_begins_anew() {
    let world = World::start(&format!("{SCHEMA}{SLOW}")).await;
    world.source.run("CREATE TYPE mood AS ENUM ('calm'); CREATE SCHEMA more").await;
    let more =
        "CREATE TABLE more.t (m public.mood PRIMARY KEY); INSERT INTO more.t VALUES ('calm')";
    world.source.run(more).await;
    let link = world.link();
    wait_for("a table is copied", LONG, async || !recorded(&world).await.is_empty()).await;
    drop(link);
    let known = recorded(&world).await;
    assert!(!known.contains_key("public.large"), "the copy has not ended: {known:?}");
    world.source.run("ALTER TABLE large ADD COLUMN more int DEFAULT 7; DROP TABLE more.t").await;
    let link = world.streaming().await;
    world.source.run(WORK).await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    assert_eq!(world.slots().await, "1");
}

/// As when the source went on as its own standby meanwhile, with a slot of the right name: what
/// was copied may have rows that are gone there.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_whose_source_is_on_another_timeline_begins_anew() {
    let world = World::start(&format!("{SCHEMA}{SLOW}")).await;
    let link = world.link();
    wait_for("a table is copied", LONG, async || !recorded(&world).await.is_empty()).await;
    drop(link);
    let known = recorded(&world).await;
    assert!(!known.contains_key("public.large"), "the copy has not ended: {known:?}");
    let other = "UPDATE mainstay.link SET source_timeline = 2, source_history = '1 0/1'";
    world.target.run(other).await;
    let link = world.streaming().await;
    for (table, file) in &known {
        let now = format!("SELECT pg_relation_filenode('{table}')::text");
        assert_ne!(world.target.text(&now).await, *file, "{table} was not copied again");
    }
    world.source.run(WORK).await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    let timeline = "SELECT source_timeline::text FROM mainstay.link";
    assert_eq!(world.target.text(timeline).await, "1");
}

/// An older snapshot sees a table that was rewritten as an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_rewritten_since_the_snapshot_is_read_from_a_newer_one() {
    let world = World::start(&format!("{SCHEMA}{SLOW}")).await;
    let plan = CopyPlan { workers: 1, ..CopyPlan::default() };
    let link = link::start_with(world.spec(), plan);
    // The largest table comes first, and lasts.
    wait_for("the large table is copied", LONG, async || {
        let copying = "SELECT count(*)::text FROM pg_stat_progress_copy WHERE \
                       relid = to_regclass('public.large') AND tuples_processed > 0";
        world.target.text(copying).await == "1"
    })
    .await;
    let emptied = "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM loose; TRUNCATE loose;
                   INSERT INTO loose SELECT n + 1 FROM kept; COMMIT";
    world.source.run(emptied).await;
    world.source.run("ALTER TABLE parent ALTER v TYPE text USING v || '?'").await;
    assert!(!recorded(&world).await.contains_key("public.parent"), "it waits for the large one");
    // The rows were read with the change in them: made again it would be made twice.
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-214", "{reason}");
    let at = reason.split("schema change at ").nth(1).and_then(|rest| rest.split(' ').next());
    link.stop().await;
    let at = at.unwrap().parse().unwrap();
    link::leave_out(&world.spec(), at, "the rows have it").await.unwrap();
    let link = world.streaming().await;
    world.source.run(WORK).await;
    world.caught_up(&link).await;
    link.stop().await;
    assert_ne!(world.target.text("SELECT count(*)::text FROM parent").await, "0");
    world.assert_equal();
}

/// The statements that turn the capture of schema changes at the source off, or on again.
async fn capture(world: &World, how: &str) -> String {
    let list = format!(
        "SELECT string_agg(format('ALTER EVENT TRIGGER %I {how}', evtname), '; ')
         FROM pg_event_trigger WHERE evtname LIKE '\\_mainstay\\_%'"
    );
    world.source.text(&list).await
}

/// What a resumed copy leaves behind, made by hand: `t` is as of a later position than the rest.
#[tokio::test(flavor = "multi_thread")]
async fn until_all_tables_are_as_of_one_instant_the_link_has_no_position_to_show() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)";
    let world = World::start(tables).await;
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.source.run("INSERT INTO u VALUES (3)").await;
    world
        .source
        .run("INSERT INTO t SELECT generate_series(1, 9); DELETE FROM t WHERE id < 3")
        .await;
    world.source.run("TRUNCATE t; INSERT INTO t VALUES (3), (4); INSERT INTO u VALUES (4)").await;
    let (at, name) = (world.source_end().await, world.spec().name());
    let copied = format!(
        "INSERT INTO t VALUES (3), (4);
         INSERT INTO mainstay.copied VALUES ('{name}', 'public.t', 1, '', '{at}', 2, 8192);
         INSERT INTO mainstay.unmade VALUES ('{name}', 0, 'late', '',
             'ALTER TABLE public.u ADD FOREIGN KEY (id) REFERENCES public.t')"
    );
    world.target.run(&copied).await;
    let locker = world.target.server.client(&world.name).await;
    locker.batch_execute("BEGIN; LOCK TABLE public.u").await.unwrap();
    let link = world.link();
    wait_for("the applier waits", LONG, async || {
        world.target.text("SELECT count(*)::text FROM pg_locks WHERE NOT granted").await == "1"
    })
    .await;
    let status = link.status();
    assert_eq!((status.phase.name(), status.applied), ("copying", None), "{:?}", link.status());
    let left = "SELECT count(*)::text FROM mainstay.unmade";
    assert_eq!(world.target.text(left).await, "1");
    // It is at the target already: its statement is not to travel.
    let (off, on) = (capture(&world, "DISABLE").await, capture(&world, "ENABLE ALWAYS").await);
    world.source.run(&off).await;
    world.source.run("ALTER TABLE u ADD FOREIGN KEY (id) REFERENCES t").await;
    world.source.run(&on).await;
    world.source.run("INSERT INTO t VALUES (5); DELETE FROM u WHERE id = 3").await;
    drop(locker);
    streaming(&link).await;
    world.caught_up(&link).await;
    link.stop().await;
    assert_eq!(world.target.text(left).await, "0");
    assert_eq!(world.target.text("SELECT count(*)::text FROM mainstay.copied").await, "0");
    world.assert_equal();
}
