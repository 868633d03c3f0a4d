//! A steady load, and how long a commit takes to be visible at the target.

use super::applier::Applier;
use super::arguments::Sizes;
use super::report::Report;
use super::world::{self, Servers, mark};
use super::{Outcome, backlog, progress};
use mainstay_testkit::Postgres;
use std::process::Stdio;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

pub const NAME: &str = "steady";
const DATABASE: &str = "steady";
const RATE: u32 = 2000;
/// Between two rows of the client that logs.
const BEAT: Duration = Duration::from_millis(5);
/// Between two looks at the target; shorter would take the processor from those who apply.
const LOOK: Duration = Duration::from_micros(200);
/// The load runs for this long before and after the logged rows.
const MARGIN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const TABLES: &[&str] = &["pgbench_accounts", "pgbench_history", "beat"];

pub async fn run(servers: &Servers, sizes: &Sizes, report: &mut Report) -> Outcome<()> {
    servers.create_source(DATABASE, "CREATE TABLE beat (n bigint PRIMARY KEY)")?;
    backlog::pgbench_tables(servers, DATABASE, 10)?;
    let mut appliers = Applier::pair(servers, DATABASE).await?;
    let mut first = 1;
    for durable in [true, false] {
        let mut figures = Vec::new();
        for applier in &mut appliers {
            let beats = Beats { first, count: i64::try_from(sizes.steady_seconds)? * 200 };
            first += beats.count;
            figures.push(measure(servers, applier, beats, durable, report).await?);
        }
        if let [native, mainstay] = figures[..] {
            let title = format!("steady state at {RATE} tx/s, commit to visible");
            report.cost(&format!("{title}, median"), durable, [native.0, mainstay.0], "ms")?;
            let title = format!("{title}, 99th percentile");
            report.cost(&title, durable, [native.1, mainstay.1], "ms")?;
        }
    }
    let mark = mark(&servers.source.client(DATABASE).await).await?;
    for applier in &mut appliers {
        applier.apply(servers, true, mark).await?;
        world::check(servers, DATABASE, applier.target(), TABLES).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Beats {
    first: i64,
    count: i64,
}

/// Median and 99th percentile, in milliseconds.
async fn measure(
    servers: &Servers,
    applier: &mut Applier,
    beats: Beats,
    durable: bool,
    report: &mut Report,
) -> Outcome<(f64, f64)> {
    progress(&format!("{applier}: steady state"));
    let source = servers.source.client(DATABASE).await;
    let target = servers.target.client(applier.target()).await;
    applier.go(servers, durable).await?;
    let caught_up = mark(&source).await?;
    applier.seen(&target, caught_up, Duration::from_millis(5)).await?;
    let before = applier.usage(servers).await?;
    let seconds = (BEAT * u32::try_from(beats.count)? + 2 * MARGIN).as_secs();
    let mut load = servers.source.bin("pgbench");
    load.args(["-n", "-M", "prepared", "-c", "8", "-j", "1", "--rate", &RATE.to_string()]);
    load.args(["-T", &seconds.to_string(), DATABASE]);
    let load = load.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    tokio::time::sleep(MARGIN).await;
    let name = applier.target().to_owned();
    let mut latencies =
        tokio::task::block_in_place(|| log_both(&servers.source, &servers.target, &name, beats))?;
    let load = tokio::task::block_in_place(|| load.wait_with_output())?;
    let after = applier.usage(servers).await?;
    applier.halt(servers).await?;
    let text = String::from_utf8_lossy(&load.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next()).ok_or("pgbench says no rate")?;
    let rate: f64 = rate.parse()?;
    latencies.sort_unstable();
    let at = |percent: usize| {
        latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    let sync = if durable { "on" } else { "off" };
    report.note(format!(
        "steady state, sync {sync}: {applier}: {} rows, median {:.2} ms, 99 % {:.2} ms, most {:.2} ms; {rate:.0} tx/s; \
         in {seconds} s CPU of walsender {:.2} s, of the applying sessions {:.2} s",
        latencies.len(), at(50), at(99), at(100),
        after.walsender - before.walsender,
        after.apply - before.apply,
    ));
    if rate < 0.95 * f64::from(RATE) {
        report.note(format!(
            "The machine made {rate:.0} tx/s only: this is no measurement of {RATE}."
        ));
    }
    Ok((at(50), at(99)))
}

/// One thread commits rows at the source and logs when each was acknowledged, another looks at the
/// target and logs when each was first seen there. They know nothing of who carries the rows.
fn log_both(
    source: &Postgres,
    target: &Postgres,
    database: &str,
    beats: Beats,
) -> Outcome<Vec<Duration>> {
    let written = AtomicI64::new(beats.first - 1);
    let (acknowledged, seen) = std::thread::scope(|scope| {
        let look = scope.spawn(|| look(target, database, beats, &written));
        let beat = scope.spawn(|| beat(source, beats, &written));
        (beat.join(), look.join())
    });
    let panicked = |_| "a thread of the measurement panicked";
    let (acknowledged, seen) = (acknowledged.map_err(panicked)??, seen.map_err(panicked)??);
    if acknowledged.len() != seen.len() {
        return Err(format!("{} rows written, {} seen", acknowledged.len(), seen.len()).into());
    }
    // A row can be seen before its writer has heard that it is committed.
    Ok(acknowledged.iter().zip(&seen).map(|(a, s)| s.saturating_duration_since(*a)).collect())
}

fn beat(source: &Postgres, beats: Beats, written: &AtomicI64) -> Outcome<Vec<Instant>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(source.client(DATABASE));
    let insert = runtime.block_on(client.prepare("INSERT INTO beat VALUES ($1)"))?;
    let mut acknowledged = Vec::new();
    let mut due = Instant::now();
    for n in beats.first..beats.first + beats.count {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += BEAT;
        runtime.block_on(client.execute(&insert, &[&n]))?;
        acknowledged.push(Instant::now());
        written.store(n, Ordering::Relaxed);
    }
    Ok(acknowledged)
}

fn look(
    target: &Postgres,
    database: &str,
    beats: Beats,
    written: &AtomicI64,
) -> Outcome<Vec<Instant>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(target.client(database));
    let newest = "SELECT coalesce(max(n), 0) FROM public.beat";
    let newest = runtime.block_on(client.prepare(newest))?;
    let last = beats.first + beats.count - 1;
    let mut seen = Vec::new();
    let mut next = beats.first;
    let mut changed = Instant::now();
    while next <= last {
        let found: i64 = runtime.block_on(client.query_one(&newest, &[]))?.get(0);
        let now = Instant::now();
        while next <= found {
            seen.push(now);
            next += 1;
            changed = now;
        }
        if now - changed > PATIENCE {
            let written = written.load(Ordering::Relaxed);
            return Err(format!("row {next} of {written} was not seen within {PATIENCE:?}").into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(seen)
}
