//! A case: tables, and work on them that must arrive as it was done. All cases of a pair of
//! majors go over one link, so that they also meet in batches.

use super::cases;
use super::ground::{Field, Ground, Pair};
use futures::FutureExt;
use mainstay_testkit::Postgres;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::Client;

/// Each has a schema of its own, named by its number, first in its `search_path`.
pub struct Case {
    pub name: &'static str,
    /// The oldest major that can do this.
    pub since: u32,
    pub schema: &'static str,
    /// Each is a transaction; one that begins with `!` is sent as it stands, without BEGIN.
    pub work: &'static [&'static str],
}

/// A table that is written to all the while, so that no case is alone in its batches.
const LOAD: &str = "CREATE TABLE public.load (id bigserial PRIMARY KEY, v text)";
const LOADING: &str = "INSERT INTO public.load (v) SELECT 'x' FROM generate_series(1, 3); \
                       UPDATE public.load SET v = v || '.' WHERE id % 7 = 0 AND \
                       id > (SELECT max(id) - 20 FROM public.load)";

#[tokio::test(flavor = "multi_thread")]
async fn every_case_arrives_from_18_at_18() {
    all(Pair::USUAL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_every_case_arrives_from_15_at_15() {
    all(Pair { source: 15, target: 15 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_every_case_arrives_from_17_at_17() {
    all(Pair { source: 17, target: 17 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_arrives_from_15_at_18() {
    all(Pair { source: 15, target: 18 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_arrives_from_18_at_15() {
    all(Pair { source: 18, target: 15 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_arrives_that_has_a_link_of_its_own() {
    let ground = Ground::start(Pair::USUAL).await;
    let cases: Vec<_> = cases::own::CASES.iter().collect();
    each(&ground, &cases, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_arrives_that_only_older_servers_accept() {
    let ground = Ground::start(Pair { source: 17, target: 17 }).await;
    let cases: Vec<_> = cases::own::BEFORE_18.iter().collect();
    each(&ground, &cases, "").await;
}

/// To look for what fails: `MAINSTAY_EACH_CASE=words` gives each case whose name holds the words (or
/// every one, without words) a link of its own, and names those that fail.
async fn all(pair: Pair) {
    let ground = Ground::start(pair).await;
    let cases: Vec<_> = cases::all().filter(|case| case.since <= pair.older()).collect();
    assert!(cases.len() > 25, "{} cases", cases.len());
    match std::env::var("MAINSTAY_EACH_CASE") {
        Ok(words) => each(&ground, &cases, &words).await,
        Err(_) => together(&ground, "cases", &cases).await,
    }
}

async fn each(ground: &Ground, cases: &[&'static Case], words: &str) {
    let mut failed = Vec::new();
    let chosen = cases.iter().filter(|case| case.name.contains(words));
    for (number, case) in chosen.enumerate() {
        println!("{}", case.name);
        let (database, alone) = (format!("alone{number}"), [*case]);
        let alone = std::panic::AssertUnwindSafe(together(ground, &database, &alone));
        if alone.catch_unwind().await.is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{:?}: {failed:#?}", ground.pair);
}

async fn together(ground: &Ground, database: &str, cases: &[&'static Case]) {
    let schema: String = cases.iter().enumerate().map(tables).collect();
    let schema = format!("{}{schema}{LOAD}", cases::EXTENSIONS);
    let field = ground.field(database, &schema).await;
    under_load(&field, cases).await;
    let clear = clear(&field).await;
    // As a backlog, which the link finds when it begins and applies in large batches.
    if ground.pair == Pair::USUAL {
        backlog(&field, cases, &clear).await;
        field.assert_equal("a backlog");
    }
    field.decode_early().await;
    backlog(&field, cases, &clear).await;
    field.assert_equal("a backlog that is told before each transaction's end");
    // The rows that the work left, by a first copy.
    let field = field.with_empty_target(&schema).await;
    field.catch_up().await;
    field.assert_equal("a first copy of all rows");
}

async fn backlog(field: &Field, cases: &[&'static Case], clear: &str) {
    field.world.source.run(clear).await;
    work(field, cases).await;
    field.catch_up().await;
}

fn tables((number, case): (usize, &&'static Case)) -> String {
    format!(
        "CREATE SCHEMA case_{number}; SET search_path = case_{number}, public; {};\n",
        case.schema
    )
}

async fn under_load(field: &Field, cases: &[&'static Case]) {
    let link = field.streaming().await;
    let load = Load::start(&field.world.source.server, &field.world.name, LOADING).await;
    work(field, cases).await;
    load.end().await;
    field.caught_up(&link).await;
    link.stop().await;
    field.assert_equal("one by one under load");
}

async fn work(field: &Field, cases: &[&'static Case]) {
    let world = &field.world;
    for (number, case) in cases.iter().enumerate() {
        let client = world.source.server.client(&world.name).await;
        run(&client, case, &format!("SET search_path = case_{number}, public")).await;
        for work in case.work {
            let sql = match work.strip_prefix('!') {
                Some(sql) => sql.to_owned(),
                None => format!("BEGIN; {work}; COMMIT"),
            };
            run(&client, case, &sql).await;
        }
    }
}

async fn run(client: &Client, case: &Case, sql: &str) {
    let done = client.batch_execute(sql).await;
    done.unwrap_or_else(|e| panic!("{}: {:?}: {sql}", case.name, e.as_db_error()));
}

/// What empties every table of the application and begins its sequences anew.
async fn clear(field: &Field) -> String {
    let tables = "SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') || \
                  ' RESTART IDENTITY CASCADE' FROM pg_class WHERE relkind IN ('r', 'p') \
                  AND relpersistence = 'p' AND (SELECT nspname ~ '^(case_|public)' FROM pg_namespace n \
                  WHERE n.oid = relnamespace)";
    field.world.source.text(tables).await
}

/// One client that writes again and again until it is told to end.
pub struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Load {
    pub async fn start(server: &Arc<Postgres>, database: &str, sql: &'static str) -> Self {
        let (stop, client) = (Arc::new(AtomicBool::new(false)), server.client(database).await);
        let told = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut done = 0;
            while !told.load(Ordering::Relaxed) {
                client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
                done += 1;
            }
            done
        });
        Self { stop, task }
    }

    /// How often it wrote.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}
