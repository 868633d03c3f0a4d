//! Rows that the link changed are compared again, and only what differs is told as different.

use crate::link_world::{LONG, Servers, World};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Held, Kind, Rechecked};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::{Link, Paused};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

struct Standing(Paused);

impl Held for Standing {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.0.advance_to(at, LONG).await.map_err(|why| why.to_string())
    }

    fn still_stands(&self) -> bool {
        self.0.still_stands()
    }
}

async fn try_recheck(world: &World, link: &Link) -> Result<Rechecked, Fault> {
    let held = Standing(link.pause(LONG).await.unwrap());
    let (source, target) = (&world.source.endpoint, &world.target.endpoint);
    compare::recheck(source, target, held, |held| held.0.take_changed()).await
}

async fn recheck(world: &World, link: &Link) -> Rechecked {
    world.caught_up(link).await;
    try_recheck(world, link).await.unwrap_or_else(|fault| panic!("{fault}"))
}

/// What differs, by table and key.
fn differing(found: &Rechecked) -> BTreeMap<(String, String), Kind> {
    let of = |table: &compare::TableComparison| {
        let keys = table.differing.clone().into_iter();
        let name = table.table.clone();
        keys.map(move |one| ((name.clone(), one.key.join("/")), one.kind)).collect::<Vec<_>>()
    };
    found.differing.iter().flat_map(of).collect()
}

fn row(table: &str, key: &str, kind: Kind) -> ((String, String), Kind) {
    ((format!("public.{table}"), key.to_owned()), kind)
}

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, big text);
    ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
    INSERT INTO t SELECT i, 'v', repeat('x', 9000) FROM generate_series(1, 40) i;
    CREATE TABLE pair (a text, n int, b numeric, PRIMARY KEY (b, a));
    INSERT INTO pair SELECT '''' || i || ',\\', i, i FROM generate_series(1, 9) i;
    CREATE TABLE whole (v text, id int PRIMARY KEY);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    INSERT INTO whole SELECT 'v', i FROM generate_series(1, 9) i;
    CREATE TABLE other (id int PRIMARY KEY, code text NOT NULL, v text);
    CREATE UNIQUE INDEX code ON other (code);
    ALTER TABLE other REPLICA IDENTITY USING INDEX code;
    INSERT INTO other SELECT i, 'c' || i, 'v' FROM generate_series(1, 9) i;
    CREATE TABLE loose (v text);
    ALTER TABLE loose REPLICA IDENTITY FULL;
    CREATE TABLE emptied (id int PRIMARY KEY);
    INSERT INTO emptied VALUES (1)";

#[tokio::test]
async fn only_rows_that_the_link_changed_are_read_again_and_what_was_spoilt_in_them_is_named() {
    let servers = Servers::start().await;
    let world = servers.world("spoilt", TABLES).await;
    let link = world.streaming().await;
    assert!(!link.has_changed(), "the first copy is not what the link changed");
    world
        .source
        .run(
            "UPDATE t SET v = 'w' WHERE id IN (1, 2); DELETE FROM t WHERE id IN (3, 4);
             UPDATE t SET id = 105 WHERE id = 5; UPDATE t SET id = 106 WHERE id = 6;
             INSERT INTO t VALUES (107), (108);
             UPDATE pair SET n = -n WHERE n IN (2, 3); UPDATE whole SET v = 'w' WHERE id IN (2, 3);
             UPDATE other SET v = 'w', code = code || '!' WHERE id IN (2, 3);
             INSERT INTO loose VALUES ('a'), ('b'); DELETE FROM loose WHERE v = 'a';
             TRUNCATE emptied",
        )
        .await;
    let equal = recheck(&world, &link).await;
    assert_eq!(differing(&equal), BTreeMap::new());
    // Both keys where one became another; none of `loose`, nor of the emptied table.
    assert_eq!((equal.changes, equal.rows, equal.unread), (18, 8 + 2 + 2 + 2 + 4, 4));
    assert!(!link.has_changed());

    let spoil = "UPDATE t SET big = set_byte(big::bytea, 0, 0)::text WHERE id IN (1, 20);
         DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (9, 'x') ON CONFLICT DO NOTHING;
         UPDATE pair SET n = 77 WHERE b = 2; UPDATE whole SET v = 'spoilt' WHERE id = 2;
         UPDATE other SET v = 'spoilt' WHERE id = 2; UPDATE loose SET v = 'spoilt'";
    world.target.run(spoil).await;
    // `big` is stored out of line, and the link leaves it as it is.
    world
        .source
        .run(
            "UPDATE t SET v = 'again' WHERE id = 1; UPDATE pair SET a = a || '.' WHERE b IN (2, 4);
             DELETE FROM t WHERE id IN (9, 10); UPDATE t SET id = 111 WHERE id = 11;
             INSERT INTO loose VALUES ('c'); INSERT INTO t VALUES (300, 'new')",
        )
        .await;
    world.caught_up(&link).await;
    let spoil = "INSERT INTO t VALUES (10, 'risen'), (11, 'risen'); DELETE FROM t WHERE id = 300";
    world.target.run(spoil).await;
    let found = recheck(&world, &link).await;
    let expected = [
        row("t", "1", Kind::Differs),
        row("t", "10", Kind::OnlyAtTarget),
        row("t", "11", Kind::OnlyAtTarget),
        row("t", "300", Kind::OnlyAtSource),
    ];
    // The link wrote row 2 of `pair` whole, which mended it; rows that it did not touch are not read.
    assert_eq!(differing(&found), BTreeMap::from(expected));
    assert_eq!((found.differing_rows, found.differing_tables, found.unread), (4, 1, 1));
    assert!(!recheck(&world, &link).await.is_different(), "nothing was changed since");

    world
        .source
        .run("UPDATE whole SET id = id + 100 WHERE id = 2; DELETE FROM other WHERE id = 2")
        .await;
    world.caught_up(&link).await;
    let spoil = "UPDATE whole SET v = 'spoilt' WHERE id = 102; \
                 INSERT INTO other VALUES (2, 'c2!', 'risen')";
    world.target.run(spoil).await;
    let found = differing(&recheck(&world, &link).await);
    let expected = [row("whole", "102", Kind::Differs), row("other", "c2!", Kind::OnlyAtTarget)];
    assert_eq!(found, BTreeMap::from(expected));
}

#[tokio::test]
async fn of_too_many_changes_each_has_the_same_chance_and_the_others_are_counted() {
    let world = World::start("CREATE TABLE t (id int PRIMARY KEY, v int)").await;
    let link = world.streaming().await;
    // Small transactions, one of many changes, and one that the source sends in pieces.
    for part in 0..20 {
        let rows = format!("generate_series({part}000, {part}999)");
        world.source.run(&format!("INSERT INTO t SELECT i, 0 FROM {rows} i")).await;
    }
    world.source.run("INSERT INTO t SELECT i, 0 FROM generate_series(20000, 59999) i").await;
    let wide = "ALTER TABLE t ADD filler text; \
                INSERT INTO t SELECT i, 0, repeat('x', 2000) FROM generate_series(60000, 99999) i";
    world.source.run(wide).await;
    world.caught_up(&link).await;
    let changed = link.pause(LONG).await.unwrap().take_changed();
    assert_eq!((changed.changes, changed.noted), (100_001, 10_000), "rows, and a schema change");
    let keys = changed.tables.into_values().flatten().map(|key| key[0].parse::<u32>().unwrap());
    let mut counts = [0; 5];
    keys.for_each(|key| counts[key as usize / 20_000] += 1);
    // Binomial with 10,000 of 1 in 5: the standard deviation is 40.
    assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");

    world.source.run("UPDATE t SET v = 1").await;
    let found = recheck(&world, &link).await;
    assert_eq!((found.changes, found.rows, found.unread), (100_000, 10_000, 90_000));
    assert!(!found.is_different());
    world.source.run("UPDATE t SET v = 3").await;
    world.caught_up(&link).await;
    world.target.run("UPDATE t SET v = 2 WHERE id % 100 = 0").await;
    let found = recheck(&world, &link).await;
    // A hundredth of a sample of 10,000; the standard deviation is 10.
    assert!((40..180).contains(&found.differing_rows), "{}", found.differing_rows);
    assert_eq!(found.differing[0].differing.len(), 5, "the first are listed");
}

/// Has the link go on once it stands, as a failover does.
struct LetGo<'a> {
    standing: Standing,
    link: &'a Link,
}

impl Held for LetGo<'_> {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.standing.advance_to(at).await?;
        self.link.drain_received(LONG).await.map(drop).map_err(|why| why.to_string())
    }

    fn still_stands(&self) -> bool {
        self.standing.still_stands()
    }
}

#[tokio::test]
async fn a_link_that_a_failover_lets_go_is_no_false_alarm() {
    let world = World::start(TABLES).await;
    let link = world.streaming().await;
    world.source.run("UPDATE t SET v = 'w' WHERE id = 1").await;
    world.caught_up(&link).await;
    let standing = Standing(link.pause(LONG).await.unwrap());
    let held = LetGo { standing, link: &link };
    let (source, target) = (&world.source.endpoint, &world.target.endpoint);
    let taken = |held: &LetGo<'_>| held.standing.0.take_changed();
    let fault = compare::recheck(source, target, held, taken).await.err().unwrap();
    assert_eq!(fault.code(), "MS-PG-150", "{fault}");
    assert!(fault.to_string().contains("the link went on"), "{fault}");
}

/// Writes until it is told to end, in a way that differs with `seed`.
async fn write(client: Client, seed: u64, ended: Arc<AtomicBool>, written: Arc<AtomicU64>) {
    let mut random = seed;
    while !ended.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
        let (id, kind) = (random >> 33, (random >> 20) % 10);
        let id = id % 5_000;
        let sql = match kind {
            0 => format!("INSERT INTO t VALUES ({id}, 'new') ON CONFLICT (id) DO NOTHING"),
            1 => format!("DELETE FROM t WHERE id = {id}"),
            2 => format!(
                "UPDATE t SET id = {} WHERE id = {id} \
                 AND NOT EXISTS (SELECT FROM t WHERE id = {0})",
                id + 5_000
            ),
            3 => format!("UPDATE t SET v = v || 'x' WHERE id BETWEEN {id} AND {}", id + 200),
            4 => format!("UPDATE pair SET n = {id} WHERE b = {}", 1 + id % 9),
            5 => format!("UPDATE whole SET v = '{id}' WHERE id = {}", 1 + id % 9),
            6 => format!("UPDATE other SET v = '{id}' WHERE id = {}", 1 + id % 9),
            _ => format!("UPDATE t SET v = '{random}' WHERE id = {id}"),
        };
        // Two writers may want the same new key, or wait for each other.
        if client.batch_execute(&sql).await.is_ok() {
            written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Load {
    ended: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn begin(world: &World, writers: u64) -> Self {
        let (ended, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = Vec::new();
        for seed in 1..=writers {
            let client = world.source.server.client(&world.name).await;
            client.batch_execute("SET search_path = public").await.unwrap();
            tasks.push(tokio::spawn(write(client, seed, ended.clone(), written.clone())));
        }
        Self { ended, written, writers: tasks }
    }

    fn has_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    async fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
        self.written.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn while_rows_are_written_none_is_said_to_differ_that_does_not() {
    let world = World::start(TABLES).await;
    let link = world.streaming().await;
    let load = Load::begin(&world, 4).await;
    let (until, mut made, mut rows, mut stood) = (Duration::from_secs(20), 0, 0, Vec::new());
    let began = Instant::now();
    let enough = |made, rows| made > 20 && rows > 1_000 && load.has_written() > 1_000;
    while began.elapsed() < until || !enough(made, rows) {
        assert!(began.elapsed() < 3 * LONG, "{made} rechecks of {rows} rows");
        let found = try_recheck(&world, &link).await.unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(differing(&found), BTreeMap::new(), "{found:?}");
        (made, rows) = (made + 1, rows + found.rows);
        stood.push(found.stood_ms);
    }
    let written = load.end().await;
    stood.sort_unstable();
    let (median, most) = (stood[stood.len() / 2], stood[stood.len() - 1]);
    eprintln!(
        "{made} rechecks of {rows} rows, {written} statements; stood {median} ms, {most} ms at most"
    );
    world.caught_up(&link).await;
    world.assert_equal();
}

/// A table that was emptied or written anew appears empty in an older snapshot.
#[tokio::test]
async fn tables_that_are_emptied_or_changed_meanwhile_are_no_false_alarm() {
    let world = World::start(TABLES).await;
    let link = world.streaming().await;
    let load = Load::begin(&world, 1).await;
    let changer = world.source.server.client(&world.name).await;
    changer.batch_execute("SET search_path = public").await.unwrap();
    let ending = load.ended.clone();
    let rounds = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&rounds);
    let changes = tokio::spawn(async move {
        while !ending.load(Ordering::Relaxed) {
            let round = counted.load(Ordering::Relaxed) + 1;
            let kind = if round % 2 == 0 { "int" } else { "bigint" };
            let sql = format!(
                "BEGIN; TRUNCATE t; \
                 INSERT INTO t SELECT i, 'v' FROM generate_series(1, 3000) i; COMMIT; \
                 ALTER TABLE whole ADD c{round} int DEFAULT {round}; \
                 ALTER TABLE pair ALTER n TYPE {kind}; ALTER TABLE whole DROP c{round}"
            );
            changer.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{e:?}"));
            counted.store(round, Ordering::Relaxed);
            // Time itself is the subject: a link that always has tables to change falls behind.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let (mut made, mut refused, mut rows) = (0, 0, 0);
    let began = Instant::now();
    while made < 5 || rows < 50 || rounds.load(Ordering::Relaxed) < 6 {
        assert!(began.elapsed() < 3 * LONG, "{made} rechecks of {rows} rows");
        match try_recheck(&world, &link).await {
            Ok(found) => {
                assert_eq!(differing(&found), BTreeMap::new(), "{found:?}");
                (made, rows) = (made + 1, rows + found.rows);
            }
            Err(fault) => {
                assert!(["MS-PG-150", "MS-PG-107"].contains(&fault.code()), "{fault}");
                eprintln!("{fault}");
                refused += 1;
            }
        }
    }
    load.end().await;
    changes.await.unwrap();
    let rounds = rounds.load(Ordering::Relaxed);
    eprintln!("{made} rechecks of {rows} rows, {refused} refused, {rounds} rounds of changes");
    world.caught_up(&link).await;
    world.assert_equal();
}
