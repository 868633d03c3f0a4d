//! The link's process is killed at random moments under pgbench: nothing is missing, and nothing
//! is there twice.

use super::case::Load;
use super::child::{LinkProcess, play_the_link_if_told};
use super::ground::{Field, Ground, Pair};
use super::reader::{self, Reader};
use super::seed::{chance, seed};
use mainstay_testkit::{Options, wait_for};
use rand::Rng;
use std::process::{Child, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

fn pgbench(field: &Field, arguments: &[&str]) -> Child {
    let mut pgbench = field.world.source.server.bin("pgbench");
    // The schema named like the user comes first otherwise, and that is Mainstay's.
    pgbench.env("PGOPTIONS", "-c search_path=public").args(arguments).arg(&field.world.name);
    pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    pgbench.spawn().unwrap()
}

async fn prepared(ground: &Ground) -> Field {
    let schema = format!("SET search_path = public;{}", reader::SCHEMA);
    let field = ground.field("bank", &schema).await;
    let made = pgbench(&field, &["-i", "-q", "-s", "1", "-I", "dtGp"]).wait().unwrap();
    assert!(made.success());
    if ground.pair.target < ground.pair.source {
        let tables = "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
            CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor=100);
            CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor=100);
            CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor=100);";
        field.world.target.run(tables).await;
    }
    field.catch_up().await;
    field
}

/// What no single change can be wrong in without it: sums over all tables.
const SUMS: &str = "
    SELECT concat_ws(' ', (SELECT sum(abalance) FROM public.pgbench_accounts),
        (SELECT sum(bbalance) FROM public.pgbench_branches), (SELECT sum(tbalance) FROM public.pgbench_tellers),
        (SELECT sum(delta) FROM public.pgbench_history), (SELECT count(*) FROM public.pgbench_history),
        (SELECT max(n) FROM public.line), (SELECT count(*) FROM public.line))";

async fn kill(test: &str, pair: Pair, kills: u32) {
    let seed = seed();
    let mut random = chance(seed, 0);
    let options = Options::default().set("logical_decoding_work_mem", "64kB");
    let ground = Ground::start_with(pair, options).await;
    let field = prepared(&ground).await;
    let reader = Reader::start(&field.world).await;
    // -n: pgbench empties its history table at the start otherwise.
    let mut load = pgbench(&field, &["-n", "-c", "3", "-T", "3600"]);
    // Transactions of which the reader can tell whether a state has all that came before.
    let step = Load::start(&field.world.source.server, "bank", reader::STEP).await;
    let mut ended = 0;
    for _ in 0..kills {
        let mut link = LinkProcess::start(test, &field);
        // The moment of the kill is what is tried.
        let millis = random.random_range(20..900);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        ended += u32::from(link.has_ended());
        link.kill9();
    }
    assert_eq!(ended, 0, "no link ended by itself");
    load.kill().unwrap();
    load.wait().unwrap();
    let steps = step.end().await;
    // pgbench's sessions may still be ending what they were told.
    let quiet =
        "SELECT (count(*) = 0)::text FROM pg_stat_activity WHERE application_name = 'pgbench'";
    wait_for("pgbench's sessions have ended", LONG, async || {
        field.world.source.text(quiet).await == "true"
    })
    .await;
    field.catch_up().await;
    let seen = reader.end().await;
    println!("{kills} kills, {steps} steps, {seen} states seen at the target");
    let (source, target) =
        (field.world.source.text(SUMS).await, field.world.target.text(SUMS).await);
    assert_eq!(source, target, "MAINSTAY_SEED={seed}");
    field.assert_equal(&format!("MAINSTAY_SEED={seed}"));
    assert!(steps > u64::from(kills) && seen > 5, "{steps} steps, {seen} seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_killed_at_ten_random_moments_under_pgbench_loses_and_repeats_nothing() {
    play_the_link_if_told().await;
    let test = "battery::kills::a_link_killed_at_ten_random_moments_under_pgbench_loses_and_repeats_nothing";
    kill(test, Pair::USUAL, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_a_link_killed_at_a_hundred_random_moments_under_pgbench_loses_and_repeats_nothing() {
    play_the_link_if_told().await;
    let test = "battery::kills::soak_a_link_killed_at_a_hundred_random_moments_under_pgbench_loses_and_repeats_nothing";
    for (source, target) in [(18, 18), (15, 18), (17, 17)] {
        kill(test, Pair { source, target }, 100).await;
    }
}
