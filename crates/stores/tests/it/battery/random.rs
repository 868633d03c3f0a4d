//! Random transactions of several clients on tables of nasty shapes, while a reader at the target
//! looks whether every state that it sees is one that the source had.

use super::ground::{Field, Ground, Pair};
use super::reader::{self, Reader};
use super::seed::{chance, seed};
use futures::future::join_all;
use mainstay_testkit::Options;
use rand::Rng;
use rand::rngs::StdRng;
use std::ops::Range;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const CLIENTS: usize = 4;

/// How many states on the way the reader sees in a round beside the link.
const LOOKS: u64 = 10;

const SCHEMA: &str = "
    CREATE TABLE r_unique (id int PRIMARY KEY, u int UNIQUE, v text);
    CREATE TABLE r_loose (a int, b text, c numeric); ALTER TABLE r_loose REPLICA IDENTITY FULL;
    CREATE TABLE r_full (id int PRIMARY KEY, v text, n numeric); ALTER TABLE r_full REPLICA IDENTITY FULL;
    CREATE TABLE r_texts (a text, b text, v int, PRIMARY KEY (a, b));
    CREATE TABLE r_big (id int PRIMARY KEY, n int, big text); ALTER TABLE r_big ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE r_part (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE r_part_1 PARTITION OF r_part FOR VALUES FROM (0) TO (5);
    CREATE TABLE r_part_2 PARTITION OF r_part FOR VALUES FROM (5) TO (10);
    CREATE TABLE r_parent (id int PRIMARY KEY);
    CREATE TABLE r_child (id int PRIMARY KEY, p int REFERENCES r_parent ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE r_later (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE r_letters (k citext PRIMARY KEY, v int);
    CREATE TABLE r_numbers (k numeric PRIMARY KEY, v int);
    CREATE TABLE r_booked (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&));";

/// One statement; few keys, so that clients and changes meet.
fn statement(random: &mut StdRng) -> String {
    let mut key = || random.random_range(0..12);
    let (a, b, c) = (key(), key(), key());
    let word = ["x", "X", "", "NULL", "a\tb", "\\N", "{}", "é"][c % 8];
    let some = random.random_range(0..34);
    match some {
        0 => format!("INSERT INTO r_unique VALUES ({a}, {b}, '{word}') ON CONFLICT DO NOTHING"),
        1 => format!("UPDATE r_unique SET u = {b} WHERE id = {a}"),
        2 => format!("UPDATE r_unique SET u = NULL WHERE id = {a} OR u = {b}"),
        3 => format!("UPDATE r_unique SET id = {b}, v = v || '.' WHERE id = {a}"),
        4 => format!("DELETE FROM r_unique WHERE id = {a} OR u = {b}"),
        5 | 6 => format!("INSERT INTO r_loose VALUES ({a}, '{word}', {c}), ({a}, '{word}', {c})"),
        7 => format!(
            "DELETE FROM r_loose WHERE ctid = (SELECT ctid FROM r_loose WHERE a = {a} LIMIT 1)"
        ),
        8 => format!(
            "UPDATE r_loose SET a = {b}, c = {c}.0 WHERE ctid = (SELECT ctid FROM r_loose WHERE a = {a} LIMIT 1)"
        ),
        9 => format!("DELETE FROM r_loose WHERE a = {a}"),
        10 => format!(
            "INSERT INTO r_full VALUES ({a}, '{word}', {b}) ON CONFLICT (id) DO UPDATE SET n = r_full.n + 0.10"
        ),
        11 => format!("UPDATE r_full SET id = {b} WHERE id = {a}"),
        12 => format!("DELETE FROM r_full WHERE id = {a}"),
        13 => format!("INSERT INTO r_texts VALUES ('{word}', '{b}', {c}) ON CONFLICT DO NOTHING"),
        14 => format!("UPDATE r_texts SET a = b, b = a, v = {c} WHERE b = '{b}' AND a <> b"),
        15 => format!("DELETE FROM r_texts WHERE a = '{word}' OR b = '{b}'"),
        16 => format!(
            "INSERT INTO r_big VALUES ({a}, 0, repeat(md5('{b}'), 80)) ON CONFLICT (id) DO UPDATE SET n = r_big.n + 1"
        ),
        17 => format!("UPDATE r_big SET n = n + 1 WHERE id IN ({a}, {b})"),
        18 => format!("UPDATE r_big SET big = repeat(md5('{c}'), 75) WHERE id = {a}"),
        19 => format!("UPDATE r_big SET id = {b} WHERE id = {a}"),
        20 => format!("DELETE FROM r_big WHERE id = {a}"),
        21 => {
            format!("INSERT INTO r_part VALUES ({a}, {}, '{word}') ON CONFLICT DO NOTHING", b % 10)
        }
        22 => format!("UPDATE r_part SET at = (at + 5) % 10 WHERE id = {a}"),
        23 => format!("DELETE FROM r_part WHERE id = {a}"),
        24 => format!("INSERT INTO r_parent VALUES ({a}) ON CONFLICT DO NOTHING"),
        25 => format!(
            "INSERT INTO r_child SELECT {b}, id FROM r_parent WHERE id = {a} ON CONFLICT DO NOTHING"
        ),
        26 => format!("UPDATE r_parent SET id = {b} WHERE id = {a}"),
        27 => format!("DELETE FROM r_parent WHERE id = {a}"),
        28 => format!("INSERT INTO r_later VALUES ({a}, {b}) ON CONFLICT (id) DO NOTHING"),
        29 => "UPDATE r_later SET u = (u + 1) % 12".to_owned(),
        30 => format!("DELETE FROM r_later WHERE id IN ({a}, {b})"),
        31 => format!(
            "INSERT INTO r_letters VALUES ('{}', {b}) ON CONFLICT (k) DO UPDATE SET k = EXCLUDED.k, v = {c}",
            ["ab", "AB", "aB", "c"][a % 4]
        ),
        32 => format!(
            "INSERT INTO r_numbers VALUES ({}{}, {b}) ON CONFLICT (k) DO UPDATE SET k = EXCLUDED.k; \
             DELETE FROM r_letters WHERE v = {c}; DELETE FROM r_numbers WHERE v = {a}",
            a % 4,
            [".0", ".00", ""][b % 3]
        ),
        _ => format!(
            "DELETE FROM r_booked WHERE id = {a}; INSERT INTO r_booked VALUES ({a}, '[{b},{})') \
             ON CONFLICT DO NOTHING",
            b + 1 + c % 3
        ),
    }
}

fn transaction(random: &mut StdRng) -> String {
    let mut sql = "BEGIN;".to_owned();
    for number in 0..random.random_range(1..7) {
        let statement = statement(random);
        match random.random_range(0..8) {
            0 => sql += &format!("SAVEPOINT s{number};{statement};ROLLBACK TO s{number};"),
            1 => sql += &format!("SAVEPOINT s{number};{statement};RELEASE s{number};"),
            _ => sql += &format!("{statement};"),
        }
    }
    match random.random_range(0..120) {
        0 => sql += "TRUNCATE r_loose;",
        1 => sql += "TRUNCATE r_parent CASCADE;",
        2 => sql += "TRUNCATE r_unique, r_part_1;",
        3 => {
            sql += "INSERT INTO r_loose SELECT i % 5, 'many', i FROM generate_series(1, 300) i;\
                    DELETE FROM r_loose WHERE b = 'many' AND c > 20;";
        }
        _ => {}
    }
    if random.random_range(0..15) == 0 {
        return sql + "ROLLBACK;";
    }
    sql + reader::STEP + "COMMIT;"
}

/// What clients in each other's way are told; the transaction is rolled back then.
fn in_the_way(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map_or("", |code| code.code());
    code.starts_with("23") || code.starts_with("40")
}

/// So many transactions that end well.
async fn client(client: Client, mut random: StdRng, number: u64) {
    let mut done = 0;
    client.batch_execute("SET search_path = public; SET synchronous_commit = off").await.unwrap();
    while done < number {
        let sql = transaction(&mut random);
        match client.batch_execute(&sql).await {
            Ok(()) => done += 1,
            Err(error) if in_the_way(&error) => client.batch_execute("ROLLBACK").await.unwrap(),
            Err(error) => panic!("{error:?}: {sql}"),
        }
    }
}

/// So many transactions of each client, all at once.
async fn work(field: &Field, seed: u64, streams: &mut Range<u64>, each: u64) {
    let mut clients = Vec::new();
    for stream in streams.take(CLIENTS) {
        let connection = field.world.source.server.client(&field.world.name).await;
        clients.push(client(connection, chance(seed, stream), each));
    }
    join_all(clients).await;
}

/// Rounds: some work while the link runs, until the reader saw states on the way, and some that
/// the link finds as a backlog when it begins.
async fn play(field: &Field, seed: u64, rounds: u64, each: u64) {
    field.streaming().await.stop().await;
    let reader = Reader::start(&field.world).await;
    let mut streams = 0..u64::MAX;
    for round in 0..rounds {
        let backlog = round % 2 == 1;
        if backlog {
            work(field, seed, &mut streams, each).await;
        }
        let link = field.streaming().await;
        let looked = reader.states() + LOOKS;
        while !backlog && reader.states() < looked {
            work(field, seed, &mut streams, each).await;
            field.caught_up(&link).await;
        }
        field.caught_up(&link).await;
        link.stop().await;
        field.assert_equal(&format!("MAINSTAY_SEED={seed}, round {round}"));
    }
    println!("{} looks at the target", reader.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_transactions_arrive_and_every_state_on_the_way_is_one_of_the_source() {
    let seed = seed();
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("random", &schema()).await;
    play(&field, seed, 4, 200).await;
}

/// Every transaction is told before its end, on 18 change by change, on 15 from 64 kB on.
#[tokio::test(flavor = "multi_thread")]
async fn random_transactions_arrive_that_are_told_before_their_end() {
    let seed = seed();
    for pair in [Pair::USUAL, Pair { source: 15, target: 18 }] {
        let ground = Ground::start(pair).await;
        let field = ground.field("random", &schema()).await;
        field.decode_early().await;
        play(&field, seed, 2, 40).await;
    }
}

/// `MAINSTAY_SOAK_SECONDS` says for how long; ten minutes otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn soak_random_transactions_arrive_for_long() {
    let seconds = std::env::var("MAINSTAY_SOAK_SECONDS").map_or(600, |s| s.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let first = seed();
    let pairs = [(18, 18), (15, 18), (17, 17), (18, 15), (15, 15)];
    for (run, (source, target)) in (0..).zip(pairs.into_iter().cycle()) {
        if Instant::now() > until {
            return;
        }
        let seed = first + run;
        println!("{source} -> {target}, MAINSTAY_SEED={seed}");
        let options = Options::default().set("logical_decoding_work_mem", "64kB");
        let ground = Ground::start_with(Pair { source, target }, options).await;
        let field = ground.field("random", &schema()).await;
        let early = run % 2 == 1;
        if early {
            field.decode_early().await;
        }
        // Told before its end, each transaction costs the link a session at the target: a backlog
        // of seconds takes minutes then.
        let each = if early { 250 } else { 1000 };
        play(&field, seed, 6, each).await;
    }
}

fn schema() -> String {
    format!(
        "SET search_path = public; CREATE EXTENSION citext; CREATE EXTENSION btree_gist; {SCHEMA}{}",
        reader::SCHEMA
    )
}
