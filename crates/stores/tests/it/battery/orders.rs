//! Every short order of changes to two keys, cut into transactions in every way: what merges
//! neighbouring transactions and nets the changes of a key has to get each of them right.

use super::ground::{Field, Ground, Pair};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a table is after some changes, and every change that may come next.
trait Play: Clone {
    /// The change as SQL on the keys `@1` and `@2`, and what the table is then.
    fn next(&self) -> Vec<(String, Self)>;
}

/// Which of two keys are there. Each table of `SCHEMA` goes the same way.
#[derive(Clone)]
struct Keys([bool; 2]);

const SCHEMA: &str = "
    CREATE TABLE plain (k int PRIMARY KEY, v int, w int, big text);
    CREATE TABLE whole (k int, v int, w int, big text); ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE full_key (k int PRIMARY KEY, v int, w int, big text);
    ALTER TABLE full_key REPLICA IDENTITY FULL;
    CREATE TABLE alike (k numeric PRIMARY KEY, v int, w int, big text);
    CREATE TABLE texts (k text, l text, v int, w int, big text, PRIMARY KEY (k, l));
    CREATE TABLE later (k int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int, w int, big text);
    ALTER TABLE later REPLICA IDENTITY FULL;
    CREATE SEQUENCE step;
    CREATE INDEX ON whole (k);
    ALTER TABLE plain ALTER big SET STORAGE EXTERNAL; ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
    ALTER TABLE full_key ALTER big SET STORAGE EXTERNAL; ALTER TABLE alike ALTER big SET STORAGE EXTERNAL;
    ALTER TABLE texts ALTER big SET STORAGE EXTERNAL; ALTER TABLE later ALTER big SET STORAGE EXTERNAL;";

/// Stored out of line, and another one each time.
const LARGE: &str = "repeat(md5(nextval('step')::text), 70)";

const TABLES: [&str; 6] = ["plain", "whole", "full_key", "alike", "texts", "later"];

/// A key as the table writes it: one number is written in several ways, by turns.
fn written_key(table: &str, key: usize) -> String {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    match table {
        "alike" => format!("@{key}.{}", "0".repeat(TURN.fetch_add(1, Ordering::Relaxed) % 3)),
        "texts" => format!("'@{key}'"),
        _ => format!("@{key}"),
    }
}

/// One change of each table.
fn each(template: &str, key: usize, other: usize) -> String {
    let one = |table: &&str| {
        template
            .replace("LARGE", LARGE)
            .replace("OTHER", &written_key(table, other))
            .replace("KEY", &written_key(table, key))
            .replace("COLUMNS", if *table == "texts" { "l, k, v" } else { "k, v" })
            .replace("LEAD", if *table == "texts" { "'x', " } else { "" })
            .replace("TABLE", table)
    };
    TABLES.iter().map(one).collect()
}

impl Play for Keys {
    fn next(&self) -> Vec<(String, Self)> {
        let mut changes = Vec::new();
        for (i, here) in self.0.into_iter().enumerate() {
            let (key, other) = (1 + i, 2 - i);
            let with = |there: [bool; 2], sql: &str| (each(sql, key, other), Keys(there));
            let mut toggled = self.0;
            toggled[i] = !here;
            if !here {
                let insert = "INSERT INTO TABLE (COLUMNS, big) VALUES (LEADKEY, 0, LARGE);";
                changes.push(with(toggled, insert));
                continue;
            }
            changes.push(with(toggled, "DELETE FROM TABLE WHERE k = KEY;"));
            changes.push(with(self.0, "UPDATE TABLE SET v = v + 1 WHERE k = KEY;"));
            let large = "UPDATE TABLE SET big = LARGE, w = 1 WHERE k = KEY;";
            changes.push(with(self.0, large));
            if !self.0[1 - i] {
                let mut moved = toggled;
                moved[1 - i] = true;
                changes.push(with(moved, "UPDATE TABLE SET k = OTHER, w = v WHERE k = KEY;"));
            }
        }
        changes
    }
}

/// What two rows hold of a unique column: no row, or null, or one of two values.
#[derive(Clone)]
struct Held([Option<Option<char>>; 2]);

const HELD: &str = "
    CREATE TABLE held (k int PRIMARY KEY, g int, s text, UNIQUE (g, s));
    CREATE TABLE held_full (k int PRIMARY KEY, g int, s text, UNIQUE (g, s));
    ALTER TABLE held_full REPLICA IDENTITY FULL;
    CREATE TABLE held_out (k int PRIMARY KEY, g int, s text,
                           EXCLUDE USING btree (g WITH =, s WITH =));
    CREATE TABLE held_later (k int PRIMARY KEY, g int, s text,
                             UNIQUE (g, s) DEFERRABLE INITIALLY DEFERRED);";

fn each_held(template: &str) -> String {
    let one = |table: &str| template.replace("TABLE", table);
    ["held", "held_full", "held_out", "held_later"].map(one).concat()
}

impl Play for Held {
    fn next(&self) -> Vec<(String, Self)> {
        let mut changes = Vec::new();
        for i in 0..2 {
            for value in [None, Some('a'), Some('b')] {
                let taken = value.is_some() && self.0[1 - i] == Some(value);
                if taken || self.0[i] == Some(value) {
                    continue;
                }
                let written = value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
                let sql = match self.0[i] {
                    None => format!("INSERT INTO TABLE VALUES (@{}, @0, {written});", i + 1),
                    Some(_) => format!("UPDATE TABLE SET s = {written} WHERE k = @{};", i + 1),
                };
                changes.push((each_held(&sql), self.with(i, Some(value))));
            }
            if self.0[i].is_some() {
                let sql = format!("DELETE FROM TABLE WHERE k = @{};", i + 1);
                changes.push((each_held(&sql), self.with(i, None)));
            }
        }
        changes
    }
}

impl Held {
    fn with(&self, row: usize, value: Option<Option<char>>) -> Self {
        let mut held = self.clone();
        held.0[row] = value;
        held
    }
}

/// Every order of `length` changes, each in as many ways as there are cuts: a cut has a bit for
/// each change after which a transaction ends. Each has keys of its own.
fn orders<P: Play>(start: &P, length: u32, base: &mut u32, cuts: &[u32]) -> Vec<String> {
    let mut paths = vec![(Vec::<String>::new(), start.clone())];
    for _ in 0..length {
        let longer = |(path, state): &(Vec<String>, P)| {
            let path = path.clone();
            let next = state.next().into_iter();
            next.map(move |(sql, state)| ([path.clone(), vec![sql]].concat(), state))
                .collect::<Vec<_>>()
        };
        paths = paths.iter().flat_map(longer).collect();
    }
    let mut all = Vec::new();
    for (path, cut) in paths.iter().flat_map(|(path, _)| cuts.iter().map(move |cut| (path, cut))) {
        *base += 10;
        let after = |(number, sql): (usize, &String)| match cut >> number & 1 {
            1 => format!("{sql}COMMIT;BEGIN;"),
            _ => sql.clone(),
        };
        let changes: String = path.iter().enumerate().map(after).collect();
        all.push(on_keys(&format!("BEGIN;{changes}COMMIT;"), *base));
    }
    all
}

fn on_keys(sql: &str, base: u32) -> String {
    let key = |n: u32| (base + n).to_string();
    sql.replace("@0", &key(0)).replace("@1", &key(1)).replace("@2", &key(2))
}

async fn play(field: &Field, orders: Vec<String>) {
    // Some at a time, so that no message is too large.
    for some in orders.chunks(200) {
        let sql = format!("SET synchronous_commit = off; {}", some.concat());
        field.world.source.run(&sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_three_changes_of_two_keys_arrives() {
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("orders", &format!("{SCHEMA}{HELD}")).await;
    field.streaming().await.stop().await;
    let mut base = 0;
    let (nothing, one) = (Keys([false, false]), Keys([true, false]));
    // The rows that some orders begin with are there before, in transactions of their own.
    let mut all = orders(&nothing, 3, &mut base, &[0b00, 0b01, 0b10, 0b11]);
    let from = base;
    let some = orders(&one, 3, &mut base, &[0b00, 0b01, 0b10, 0b11]);
    let insert = each("INSERT INTO TABLE (COLUMNS, big) VALUES (LEADKEY, 0, LARGE);", 1, 2);
    let begin: String =
        (from / 10 + 1..=base / 10).map(|number| on_keys(&insert, number * 10)).collect();
    all.push(format!("BEGIN;{begin}COMMIT;"));
    all.extend(some);
    all.extend(orders(&Held([None, None]), 4, &mut base, &[0b000, 0b010, 0b111]));
    let (count, start) = (all.len(), std::time::Instant::now());
    play(&field, all).await;
    println!("{count} orders, played within {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let link = field.streaming().await;
    field.caught_up(&link).await;
    println!("applied within {:?}: {:?}", start.elapsed(), link.status());
    link.stop().await;
    field.assert_equal("every order");
}

/// Every order of four changes, in every way that they can be cut into transactions.
#[tokio::test(flavor = "multi_thread")]
async fn soak_every_order_of_four_changes_of_two_keys_arrives() {
    let ground = Ground::start(Pair::USUAL).await;
    let field = ground.field("orders", &format!("{SCHEMA}{HELD}")).await;
    field.streaming().await.stop().await;
    let cuts: Vec<_> = (0..8).collect();
    let mut base = 0;
    for cut in &cuts {
        play(&field, orders(&Keys([false, false]), 4, &mut base, &[*cut])).await;
        play(&field, orders(&Held([None, None]), 5, &mut base, &[*cut])).await;
        field.catch_up().await;
        field.assert_equal("every order");
    }
}
