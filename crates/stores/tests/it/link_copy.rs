//! The first copy, while the source is written to.

use crate::link_world::{Servers, World, stopped, streaming};
use mainstay_core::LinkPhase;
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_testkit::{wait_for, wait_for_value};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn pgbench(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.source.server.bin("pgbench");
    command.args(arguments).arg("bank").env("PGOPTIONS", "-c search_path=public");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// It goes on for as long as the test wants it: a load of some seconds may end before a slow copy.
struct Load(Child);

impl Load {
    async fn start(world: &World) -> Self {
        let child = pgbench(world, &["-c", "4", "-n", "-T", "600"]).spawn().expect("pgbench");
        let load = Self(child);
        let before = "SELECT count(*)::text FROM pgbench_history";
        wait_for("the load runs", Duration::from_secs(60), async || {
            world.source.text(before).await != "0"
        })
        .await;
        load
    }

    /// The server ends what a killed client had sent, and only then has its last position.
    async fn end(mut self, world: &World) {
        assert!(self.0.try_wait().expect("pgbench").is_none(), "the load goes on until here");
        drop(self);
        let clients =
            "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'pgbench'";
        wait_for("the load's sessions end", Duration::from_secs(60), async || {
            world.source.text(clients).await == "0"
        })
        .await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_under_load_is_copied_and_streamed_without_a_gap() {
    let world = World::start("").await;
    assert!(pgbench(&world, &["-i", "-q", "-s", "3"]).status().unwrap().success());
    let load = Load::start(&world).await;

    let start = Instant::now();
    let link = world.link();
    let mut copied = (0, 0);
    let mut status = link.watch();
    streaming_or(&mut status, |rows, bytes| copied = (rows, bytes)).await;
    let seconds = start.elapsed().as_secs_f64();
    assert!(copied.0 >= 300_000 && copied.1 > 30_000_000, "{copied:?}");
    println!("copied {copied:?} (rows, bytes) within {seconds:.2} s, definitions included");
    wait_for("transactions of the load are applied", Duration::from_secs(60), async || {
        link.status().transactions > 100
    })
    .await;
    load.end(&world).await;

    let drain = Instant::now();
    world.caught_up(&link).await;
    println!("drained in {:?} after the load ended", drain.elapsed());
    let status = link.status();
    println!("applied {} transactions, {} rows", status.transactions, status.rows);
    link.stop().await;
    world.assert_equal();
}

async fn streaming_or(
    status: &mut tokio::sync::watch::Receiver<mainstay_core::LinkStatus>,
    mut copying: impl FnMut(u64, u64),
) {
    loop {
        match status.borrow_and_update().phase.clone() {
            LinkPhase::Copying { rows, bytes, total_bytes, keys_done, keys, .. } => {
                assert!(bytes <= total_bytes && keys_done <= keys);
                copying(rows, bytes);
            }
            LinkPhase::Streaming => return,
            LinkPhase::Stopped { code, reason } => panic!("{code}: {reason}"),
            _ => {}
        }
        status.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_begins_where_it_may_and_ends_what_it_began() {
    let servers = Servers::start().await;
    tokio::join!(
        a_target_that_has_rows_is_refused_before_anything_is_touched(&servers),
        a_copy_that_was_cut_off_begins_anew_by_itself(&servers),
        a_target_that_has_the_tables_but_no_rows_is_filled(&servers),
        a_slot_that_somebody_may_need_is_never_replaced_by_a_new_copy(&servers),
        a_target_without_mainstays_tables_is_left_as_it_is(&servers),
        sequences_are_told_to_the_target_by_themselves(&servers),
        large_objects_are_refused_before_the_copy_and_stop_the_stream(&servers),
        client_programs_older_than_the_source_are_told_before_anything_is_made(&servers),
        what_belongs_to_tables_is_made_when_their_rows_are_there(&servers),
    );
}

async fn large_objects_are_refused_before_the_copy_and_stop_the_stream(servers: &Servers) {
    let world = servers.world("objects", "CREATE TABLE t (id int PRIMARY KEY)").await;
    world.source.run("SELECT lo_create(4711)").await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-213", "{reason}");
    assert!(reason.contains("1 large object") && reason.contains("lo_unlink"), "{reason}");
    link.stop().await;
    assert_eq!(world.slots().await, "0");
    world.source.run("SELECT lo_unlink(4711)").await;
    let link = world.streaming().await;
    world.source.run("SELECT lo_create(4712)").await;
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-213", "{reason}");
    link.stop().await;
}

async fn client_programs_older_than_the_source_are_told_before_anything_is_made(servers: &Servers) {
    use std::os::unix::fs::PermissionsExt;
    let world = servers.world("tools", "CREATE TABLE t (id int PRIMARY KEY)").await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pg_dump");
    std::fs::write(&program, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.4'\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let link = link::start(LinkSpec { tools: folder.path().to_owned(), ..world.spec() });
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-218", "{reason}");
    link.stop().await;
    let tables = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(world.target.text(tables).await, "0");
}

/// By `pg_dump` of both sides, and the keys are there before the link streams.
async fn what_belongs_to_tables_is_made_when_their_rows_are_there(servers: &Servers) {
    let schema = r#"
        CREATE SCHEMA "my schema"; CREATE DOMAIN "my schema".short AS text CHECK (length(VALUE) < 9);
        CREATE TABLE "my schema"."a ""table""" (id int PRIMARY KEY, d "my schema".short UNIQUE,
            p point, EXCLUDE USING gist (p WITH ~=));
        CREATE INDEX "an index ON it" ON "my schema"."a ""table""" (lower(d), (id + 1)) WHERE id > 1;
        COMMENT ON INDEX "my schema"."an index ON it" IS 'one; -- two \ three''s';
        CREATE TABLE parted (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE parted_2 PARTITION OF parted DEFAULT; CREATE INDEX ON parted (day);
        CREATE TABLE child (id int REFERENCES "my schema"."a ""table""", a int, b int,
            day date, FOREIGN KEY (a, day) REFERENCES parted (id, day));
        COMMENT ON CONSTRAINT child_id_fkey ON child IS 'it leads there';
        ALTER TABLE child REPLICA IDENTITY FULL;"#;
    let more = r#"
        CREATE STATISTICS of_child ON a, b FROM child;
        CREATE VIEW shown AS SELECT id FROM child; CREATE MATERIALIZED VIEW kept AS
            SELECT count(*) AS n FROM child; CREATE UNIQUE INDEX ON kept (n);
        CREATE RULE r AS ON DELETE TO shown DO INSTEAD (SELECT 1; DELETE FROM child WHERE id = OLD.id);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'it fires'; END$$;
        INSERT INTO "my schema"."a ""table""" SELECT i, 'd' || i, point(i, i)
            FROM generate_series(1, 50) i;
        INSERT INTO parted SELECT i, date '2026-01-01' + i FROM generate_series(1, 50) i;
        INSERT INTO child SELECT i, i, i, date '2026-01-01' + i FROM generate_series(1, 50) i;
        REFRESH MATERIALIZED VIEW kept;
        CREATE TRIGGER t BEFORE INSERT ON child FOR EACH ROW WHEN (NEW.a < 0) EXECUTE FUNCTION f();
        ALTER TABLE child ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON child USING (id > 0);"#;
    let world = servers.world("belongs", schema).await;
    world.source.run(more).await;
    let link = world.streaming().await;
    world.source.run("UPDATE child SET b = 7 WHERE id = 7; DELETE FROM child WHERE id = 8").await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    assert_eq!(world.target.text("SELECT n::text FROM kept").await, "50");
}

async fn a_target_that_has_rows_is_refused_before_anything_is_touched(servers: &Servers) {
    let world = servers.world("rows", "CREATE TABLE t (id int PRIMARY KEY)").await;
    world.target.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (7)").await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-206", "{reason}");
    assert!(reason.contains("public.t"), "{reason}");
    link.stop().await;
    assert_eq!(world.target.text("SELECT string_agg(id::text, ',') FROM t").await, "7");
    let left = "SELECT (SELECT count(*) FROM mainstay.link)::text";
    assert_eq!(world.target.text(left).await, "0");
    assert_eq!(world.slots().await, "0");
}

async fn a_copy_that_was_cut_off_begins_anew_by_itself(servers: &Servers) {
    let schema = "CREATE TABLE a (id int PRIMARY KEY, v text);
                  CREATE TABLE b (id int PRIMARY KEY);
                  INSERT INTO a SELECT i, repeat('x', 200) FROM generate_series(1, 60000) i;
                  INSERT INTO b SELECT generate_series(1, 1000);";
    let world = servers.world("cut", schema).await;
    let link = world.link();
    let mut status = link.watch();
    // One table is done, or all but the largest: then both servers cut every session.
    let copying = "SELECT count(*)::text FROM mainstay.link WHERE position IS NULL";
    wait_for("the copy has begun", Duration::from_secs(60), async || {
        world.target.text(copying).await == "1"
    })
    .await;
    cut(&world).await;
    streaming_or(&mut status, |_, _| {}).await;
    world.source.run("INSERT INTO b VALUES (5000)").await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

async fn cut(world: &World) {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name LIKE 'mainstay %' AND pid <> pg_backend_pid() \
               AND datname = current_database()";
    world.source.run(cut).await;
    world.target.run(cut).await;
}

async fn a_target_that_has_the_tables_but_no_rows_is_filled(servers: &Servers) {
    let schema = "CREATE TYPE mood AS ENUM ('calm', 'cross');
                  CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                  twice bigint GENERATED ALWAYS AS (id * 2) STORED, moods mood[]);
                  CREATE TABLE child (t bigint REFERENCES t)";
    let world = servers.world("tables", schema).await;
    world.target.run(schema).await;
    world.source.run("INSERT INTO t (moods) VALUES ('{calm,cross}'), (NULL)").await;
    world.source.run("INSERT INTO child SELECT id FROM t").await;
    let link = world.streaming().await;
    world.source.run("INSERT INTO t (moods) VALUES ('{cross}')").await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

async fn a_slot_that_somebody_may_need_is_never_replaced_by_a_new_copy(servers: &Servers) {
    let world = servers.world("slot", "CREATE TABLE t (id int PRIMARY KEY)").await;
    let slot = world.spec().slot();
    let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    world.source.run(&make).await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-205", "{reason}");
    link.stop().await;
}

async fn sequences_are_told_to_the_target_by_themselves(servers: &Servers) {
    let world =
        servers.world("sequences", "CREATE SEQUENCE s; CREATE SEQUENCE unused START 5").await;
    let link = world.streaming().await;
    world.source.run("SELECT nextval('s'), nextval('s')").await;
    let seen = "SELECT string_agg(format('%s=%s%s', sequence_name, last_value, is_called), ' ' \
                ORDER BY sequence_name) FROM mainstay.sequence WHERE link = 'sequences/db/east->west'";
    let all = wait_for_value("the values came", Duration::from_secs(60), async || {
        let row = world.target.client.query_one(seen, &[]).await.unwrap();
        let text: Option<String> = row.get(0);
        text.filter(|text| text.contains("s=2"))
    })
    .await;
    assert_eq!(all, "s=2t unused=5f");
    streaming(&link).await;
    link.stop().await;
}

async fn a_target_without_mainstays_tables_is_left_as_it_is(servers: &Servers) {
    let world = servers.world("unprepared", "CREATE TABLE t (id int PRIMARY KEY)").await;
    world.target.run("DROP SCHEMA mainstay CASCADE").await;
    let link = world.link();
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-PG-103", "{reason}");
    link.stop().await;
    assert_eq!(world.slots().await, "0");
}
