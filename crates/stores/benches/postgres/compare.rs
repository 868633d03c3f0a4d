//! A comparison of two sides that differ in one row, beside the sums of 32-bit hashes that
//! `pgcopydb compare data` asks both sides for. Those cannot say which row it is.

use super::applier::Applier;
use super::arguments::Sizes;
use super::process::{ended_children_seconds, peak_memory};
use super::report::Report;
use super::world::{self, Servers, psql};
use super::{Outcome, backlog, progress};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Held};
use mainstay_testkit::Postgres;
use std::time::{Duration, Instant};

pub const NAME: &str = "compare";
const DATABASE: &str = "compare";
const DIFFERENT: &str = "4711";
const ROUNDS: usize = 2;

/// Nobody writes, and no link runs.
struct Still;

impl Held for Still {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        Ok(())
    }
}

pub async fn run(servers: &Servers, sizes: &Sizes, report: &mut Report) -> Outcome<()> {
    servers.create_source(DATABASE, "")?;
    backlog::pgbench_tables(servers, DATABASE, sizes.compare_scale)?;
    let copied = Applier::mainstay(servers, DATABASE).await?;
    let target = copied.target();
    change(servers, target, &format!("aid = {DIFFERENT}"))?;
    let (mut sums, mut mainstay) = (Cost::MOST, Cost::MOST);
    for _ in 0..ROUNDS {
        sums = sums.least(measure(servers, self::sums(servers, target)).await?);
        mainstay = mainstay.least(measure(servers, self::mainstay(servers, target)).await?);
    }
    let rows = f64::from(sizes.compare_scale) / 10.0;
    let work = format!("comparison of {rows} million rows, one different");
    report.cost(&work, true, [sums.seconds, mainstay.seconds], "s")?;
    report.cost(&format!("{work}: source's CPU"), true, [sums.cpu, mainstay.cpu], "s")?;
    half(servers, target, rows, report).await
}

/// All that a comparison finds has to fit.
async fn half(servers: &Servers, target: &str, rows: f64, report: &mut Report) -> Outcome<()> {
    change(servers, target, "aid % 2 = 0")?;
    let (source, target) = (servers.source.endpoint(DATABASE), servers.target.endpoint(target));
    let before = peak_memory(std::process::id())?;
    let start = Instant::now();
    let compared = compare::run(&source, &target, Still, &mut ()).await?;
    let (seconds, after) = (start.elapsed().as_secs_f64(), peak_memory(std::process::id())?);
    let found: u64 = compared.tables.iter().map(|table| table.differences).sum();
    report.note(format!(
        "comparison of {rows} million rows, {found} different: {seconds:.1} s; peak memory of \
         the comparing process {after:.0} MB, {before:.0} MB before"
    ));
    Ok(())
}

fn change(servers: &Servers, target: &str, which: &str) -> Outcome<()> {
    let change =
        format!("UPDATE public.pgbench_accounts SET abalance = abalance + 1 WHERE {which}");
    psql(&servers.target, target, &change).map(drop)
}

/// What one comparison took.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Of all processes of the source.
    cpu: f64,
}

impl Cost {
    const MOST: Self = Self { seconds: f64::MAX, cpu: f64::MAX };

    fn least(self, other: Self) -> Self {
        Self { seconds: self.seconds.min(other.seconds), cpu: self.cpu.min(other.cpu) }
    }
}

async fn measure(servers: &Servers, work: impl Future<Output = Outcome<f64>>) -> Outcome<Cost> {
    let before = source_cpu(servers).await?;
    let seconds = work.await?;
    let cpu = source_cpu(servers).await? - before;
    progress(&format!("{seconds:.2} s, {cpu:.2} s of the source's CPU"));
    Ok(Cost { seconds, cpu })
}

/// Of the sessions that have ended: others are waited for.
async fn source_cpu(servers: &Servers) -> Outcome<f64> {
    const SESSIONS: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE pid <> \
        pg_backend_pid() AND backend_type IN ('client backend', 'walsender', 'parallel worker')";
    const POSTMASTER: &str = "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)";
    let client = servers.source.client(DATABASE).await;
    while world::text(&client, SESSIONS).await?.as_deref() != Some("0") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = world::text(&client, POSTMASTER).await?.ok_or("no postmaster")?;
    ended_children_seconds(pid.parse()?)
}

async fn sums(servers: &Servers, target: &str) -> Outcome<f64> {
    let start = Instant::now();
    let (source, target) =
        tokio::try_join!(sum(&servers.source, DATABASE), sum(&servers.target, target))?;
    let seconds = start.elapsed().as_secs_f64();
    progress(&format!("sums of 32-bit hashes in {seconds:.2} s"));
    if source == target { Err("the sums do not differ".into()) } else { Ok(seconds) }
}

async fn sum(server: &Postgres, database: &str) -> Outcome<Option<String>> {
    let sums = "SELECT count(1) || ' ' || sum(hashtext(t::text)::int8) \
                FROM ONLY public.pgbench_accounts t";
    world::text(&server.client(database).await, sums).await
}

async fn mainstay(servers: &Servers, target: &str) -> Outcome<f64> {
    let (source, target) = (servers.source.endpoint(DATABASE), servers.target.endpoint(target));
    let start = Instant::now();
    let compared = compare::run(&source, &target, Still, &mut ()).await?;
    let seconds = start.elapsed().as_secs_f64();
    progress(&format!("mainstay compared in {seconds:.2} s"));
    let found: Vec<_> = compared.tables.iter().flat_map(|table| &table.differing).collect();
    match found[..] {
        [only] if only.key == [DIFFERENT] => Ok(seconds),
        _ => Err(format!("found {found:?}").into()),
    }
}
