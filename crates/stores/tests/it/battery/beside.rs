//! Long queues, which two lanes apply side by side: what each transaction did arrives, and every
//! state that a reader sees is one that the source had, whatever happens to the lanes.

use super::child::{LinkProcess, play_the_link_if_told};
use super::ground::{Field, Ground, Pair};
use super::reader::{self, Reader};
use super::seed::{chance, seed};
use crate::link_world::LONG;
use mainstay_core::LinkPhase;
use mainstay_testkit::{Options, wait_for};
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio_postgres::Client;

/// The trigger fires at the target too, where it reaches rows of another table.
const SCHEMA: &str = "
    SET search_path = public;
    CREATE TABLE keyed (id int PRIMARY KEY, v int, note text);
    CREATE TABLE held (id int PRIMARY KEY, u int UNIQUE DEFERRABLE, v int);
    CREATE TABLE loose (a int, b text); ALTER TABLE loose REPLICA IDENTITY FULL;
    CREATE TABLE noted (id int PRIMARY KEY, v int);
    INSERT INTO noted SELECT i, 0 FROM generate_series(0, 99) i;
    CREATE TABLE noting (id int PRIMARY KEY, v int);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS
        'BEGIN UPDATE noted SET v = NEW.v WHERE id = NEW.id; RETURN NEW; END';
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON noting FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE noting ENABLE ALWAYS TRIGGER note;";

/// Some hundred rows; few keys, so that neighbouring transactions meet.
fn transaction(random: &mut StdRng) -> String {
    let mut sql = "BEGIN;".to_owned();
    for _ in 0..random.random_range(1..4) {
        let (from, count, by) =
            (random.random_range(0..3000), random.random_range(1..300), random.random_range(2..40));
        let to = from + count;
        sql += &match random.random_range(0..14) {
            0..=3 => format!(
                "INSERT INTO keyed SELECT i, {by}, repeat('n', {by}) FROM generate_series({from}, {to}) i \
                 ON CONFLICT (id) DO UPDATE SET v = keyed.v + EXCLUDED.v;"
            ),
            4 | 5 => format!("UPDATE keyed SET v = v + 1 WHERE id BETWEEN {from} AND {to};"),
            6 => format!("DELETE FROM keyed WHERE id % {by} = 1 AND id > {from};"),
            7 => format!(
                "UPDATE keyed SET id = id + 10000 WHERE id BETWEEN {from} AND {to} AND NOT EXISTS \
                 (SELECT FROM keyed k WHERE k.id = keyed.id + 10000);"
            ),
            8 => format!(
                "INSERT INTO held SELECT i, i, {by} FROM generate_series({from}, {to}) i \
                 WHERE NOT EXISTS (SELECT FROM held WHERE u = i) \
                 ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;"
            ),
            9 => format!("UPDATE held SET u = {from} + {to} - u WHERE u BETWEEN {from} AND {to};"),
            10 => format!("DELETE FROM held WHERE id % {by} = 0;"),
            11 => format!(
                "INSERT INTO loose SELECT i % {by}, 'x' FROM generate_series(1, {count}) i;"
            ),
            12 => format!("DELETE FROM loose WHERE a = {by};"),
            _ => format!(
                "INSERT INTO noting SELECT i, {from} FROM generate_series(0, {by}) i \
                 ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v; \
                 UPDATE noted SET v = v - 1 WHERE id > {by};"
            ),
        };
    }
    if random.random_range(0..150) == 0 {
        sql += "TRUNCATE loose;";
    }
    sql + reader::STEP + "COMMIT;"
}

async fn work(field: &Field, seed: u64, transactions: u32) {
    let client = field.world.source.server.client(&field.world.name).await;
    client.batch_execute("SET search_path = public; SET synchronous_commit = off").await.unwrap();
    let mut random = chance(seed, 0);
    for _ in 0..transactions {
        let sql = transaction(&mut random);
        client.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{e:?}: {sql}"));
    }
}

/// The link's sessions that apply.
const LANES: &str = "SELECT count(*)::text FROM pg_stat_activity \
                     WHERE application_name LIKE 'mainstay apply%'";

async fn field(ground: &Ground) -> Field {
    let field = ground.field("long", &format!("{SCHEMA}{}", reader::SCHEMA)).await;
    field.catch_up().await;
    field
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lanes_apply_a_long_queue_and_every_state_on_the_way_is_one_of_the_source() {
    let seed = seed();
    let ground = Ground::start(Pair::USUAL).await;
    let field = field(&ground).await;
    let reader = Reader::start(&field.world).await;
    work(&field, seed, 400).await;
    let link = field.link();
    wait_for("a second lane", LONG, async || field.world.target.text(LANES).await == "2").await;
    field.end(link).await;
    let seen = reader.end().await;
    field.assert_equal(&format!("MAINSTAY_SEED={seed}"));
    assert!(seen > 5, "{seen} states seen");
}

/// One of the two, or the only one, at random moments; and now and then the whole link.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_are_cut_off_lose_and_repeat_nothing() {
    play_the_link_if_told().await;
    let test = "battery::beside::lanes_that_are_cut_off_lose_and_repeat_nothing";
    cut(test, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_lanes_that_are_cut_off_for_long_lose_and_repeat_nothing() {
    play_the_link_if_told().await;
    let test = "battery::beside::soak_lanes_that_are_cut_off_for_long_lose_and_repeat_nothing";
    cut(test, 200).await;
}

async fn cut(test: &str, times: u32) {
    const CUT: &str = "SELECT count(pg_terminate_backend(pid))::text FROM (SELECT pid FROM pg_stat_activity \
                       WHERE application_name LIKE 'mainstay apply%' ORDER BY random() LIMIT 1) s";
    let seed = seed();
    let mut random = chance(seed, 1);
    let ground = Ground::start(Pair::USUAL).await;
    let field = field(&ground).await;
    let reader = Reader::start(&field.world).await;
    let (mut sessions, mut processes) = (0, 0);
    let mut link = LinkProcess::start(test, &field);
    for time in 0..times {
        work(&field, seed + u64::from(time), 40).await;
        // The moment of the cut is what is tried.
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        if random.random_range(0..4) == 0 {
            assert!(!link.has_ended(), "the link ended by itself");
            link.kill9();
            link = LinkProcess::start(test, &field);
            processes += 1;
        } else {
            sessions += field.world.target.text(CUT).await.parse::<u32>().unwrap();
        }
    }
    link.kill9();
    field.catch_up().await;
    let seen = reader.end().await;
    println!("{sessions} sessions and {processes} links were cut off, {seen} states seen");
    field.assert_equal(&format!("MAINSTAY_SEED={seed}"));
    assert!(sessions > times / 4 && seen > 5, "{sessions} sessions, {seen} states seen");
}

/// The target has room for no other session: one lane has to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_lane_that_the_target_refuses_loses_nothing() {
    let seed = seed();
    let ground =
        Ground::start_with(Pair::USUAL, Options::default().set("max_connections", "24")).await;
    let field = field(&ground).await;
    let link = field.streaming().await;
    let still = link.pause(LONG).await.unwrap();
    work(&field, seed, 200).await;
    let received = field.world.source_end().await;
    wait_for("the queue is long", LONG, async || {
        link.status().received >= Some(mainstay_core::Position::Postgres(received))
    })
    .await;
    let others = all_connections(&field).await;
    drop(still);
    link.drain_received(LONG).await.unwrap();
    assert!(!matches!(link.status().phase, LinkPhase::Stopped { .. }), "{:?}", link.status());
    assert_eq!(field.world.target.text(LANES).await, "1");
    drop(others);
    field.end(link).await;
    field.assert_equal(&format!("MAINSTAY_SEED={seed}"));
}

/// As many as the target accepts.
async fn all_connections(field: &Field) -> Vec<Client> {
    let mut clients = Vec::new();
    let endpoint = &field.world.target.endpoint;
    while let Ok(client) = mainstay_stores::postgres::connect::connect(endpoint, "crowd").await {
        clients.push(client);
    }
    assert!(!clients.is_empty() && clients.len() < 24, "{} connections", clients.len());
    clients
}
