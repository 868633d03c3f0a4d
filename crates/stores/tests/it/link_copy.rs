//! The first copy, while the source is written to.

use crate::link_world::{Servers, World, stopped, streaming};
use mainstay_core::LinkPhase;
use mainstay_testkit::{wait_for, wait_for_value};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn pgbench(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.source.server.bin("pgbench");
    command.args(arguments).arg("bank").env("PGOPTIONS", "-c search_path=public");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn load(world: &World, seconds: &str) -> Child {
    pgbench(world, &["-c", "4", "-n", "-T", seconds]).spawn().unwrap()
}

async fn end(mut child: Child) {
    wait_for("the load ends", Duration::from_secs(60), async || {
        child.try_wait().unwrap().is_some()
    })
    .await;
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_under_load_is_copied_and_streamed_without_a_gap() {
    let world = World::start("").await;
    assert!(pgbench(&world, &["-i", "-q", "-s", "3"]).status().unwrap().success());
    let load = load(&world, "5");
    let before = "SELECT count(*)::text FROM pgbench_history";
    wait_for("the load runs", Duration::from_secs(10), async || {
        world.source.text(before).await != "0"
    })
    .await;

    let start = Instant::now();
    let link = world.link();
    let mut copied = (0, 0);
    let mut status = link.watch();
    streaming_or(&mut status, |rows, bytes| copied = (rows, bytes)).await;
    let seconds = start.elapsed().as_secs_f64();
    println!("copied {copied:?} (rows, bytes) within {seconds:.2} s, definitions included");
    end(load).await;

    let drain = Instant::now();
    world.caught_up(&link).await;
    println!("drained in {:?} after the load ended", drain.elapsed());
    let status = link.status();
    println!("applied {} transactions, {} rows", status.transactions, status.rows);
    assert!(status.transactions > 100, "the load went on during the copy and after: {status:?}");
    link.stop().await;
    world.assert_equal();
}

async fn streaming_or(
    status: &mut tokio::sync::watch::Receiver<mainstay_core::LinkStatus>,
    mut copying: impl FnMut(u64, u64),
) {
    loop {
        match status.borrow_and_update().phase.clone() {
            LinkPhase::Copying { rows, bytes, .. } => copying(rows, bytes),
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
        sequences_are_told_to_the_target_within_two_seconds(&servers),
    );
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
    wait_for("the copy has begun", Duration::from_secs(10), async || {
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
                                  twice bigint GENERATED ALWAYS AS (id * 2) STORED, moods mood[])";
    let world = servers.world("tables", schema).await;
    world.target.run(schema).await;
    world.source.run("INSERT INTO t (moods) VALUES ('{calm,cross}'), (NULL)").await;
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

async fn sequences_are_told_to_the_target_within_two_seconds(servers: &Servers) {
    let world =
        servers.world("sequences", "CREATE SEQUENCE s; CREATE SEQUENCE unused START 5").await;
    let link = world.streaming().await;
    world.source.run("SELECT nextval('s'), nextval('s')").await;
    let seen = "SELECT string_agg(format('%s=%s%s', sequence_name, last_value, is_called), ' ' \
                ORDER BY sequence_name) FROM mainstay.sequence WHERE link = 'sequences/db/east->west'";
    let all = wait_for_value("the values came", Duration::from_secs(5), async || {
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
