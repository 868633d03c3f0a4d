//! The first copy of a database, with keys and indexes, from an empty target until it is all there.

use super::arguments::Sizes;
use super::mainstay::Mainstay;
use super::native::Native;
use super::report::Report;
use super::rivals::Rival;
use super::world::{self, Servers, number, psql};
use super::{Outcome, backlog, progress};
use std::time::Instant;

pub const NAME: &str = "copy";
pub const DATABASE: &str = "copy";
const TABLES: &[&str] =
    &["pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history"];

pub async fn run(servers: &Servers, sizes: &Sizes, report: &mut Report) -> Outcome<()> {
    progress("making the database that is copied");
    servers.create_source(DATABASE, "")?;
    backlog::pgbench_tables(servers, DATABASE, sizes.copy_scale)?;
    let heap = heap(servers).await? as f64 / 1e6;
    let speed = |seconds: f64| heap / seconds;
    report.note(format!(
        "initial copy: {heap:.0} MB of heap, primary keys, 2 jobs where jobs are a choice"
    ));
    for durable in [false, true] {
        let native = speed(native(servers, durable).await?);
        let mainstay = speed(self::mainstay(servers, durable).await?);
        report.rate("initial copy, keys and indexes", durable, [native, mainstay], "MB/s")?;
    }
    for rival in Rival::ALL {
        match beside(servers, rival).await {
            Ok(seconds) => {
                let work = format!("initial copy, against {rival}");
                report.rate(&work, true, seconds.map(speed), "MB/s")?;
            }
            Err(why) => report.note(format!("initial copy: no figure of {rival}: {why}")),
        }
    }
    Ok(())
}

/// The better of two runs each, in turn: seconds of the rival and of Mainstay.
async fn beside(servers: &Servers, rival: Rival) -> Outcome<[f64; 2]> {
    let mut best = [f64::MAX; 2];
    for _ in 0..2 {
        let mainstay = mainstay(servers, true).await?;
        settle(servers).await?;
        let rival = rival.copy(servers).await?;
        best = [best[0].min(rival), best[1].min(mainstay)];
    }
    Ok(best)
}

async fn heap(servers: &Servers) -> Outcome<u64> {
    let sql = "SELECT sum(pg_relation_size(oid)) FROM pg_class \
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    number(&servers.source.client(DATABASE).await, sql).await
}

/// Every run begins with clean buffers at both servers.
async fn settle(servers: &Servers) -> Outcome<()> {
    psql(&servers.source, "postgres", "CHECKPOINT")?;
    psql(&servers.target, "postgres", "CHECKPOINT")
}

/// Fails unless the copy is equal, and has the primary keys.
pub async fn complete(servers: &Servers, target: &str) -> Outcome<()> {
    world::check(servers, DATABASE, target, TABLES).await?;
    let keys = "SELECT count(*) FROM pg_index WHERE indisvalid AND indisprimary \
                AND indrelid::regclass::text LIKE 'pgbench_%'";
    match number(&servers.target.client(target).await, keys).await? {
        3 => Ok(()),
        other => Err(format!("{target} has {other} primary keys").into()),
    }
}

/// The tables with their keys are there before the clock starts.
async fn native(servers: &Servers, durable: bool) -> Outcome<f64> {
    let mut native = Native::create(servers, DATABASE, "copy_native")?;
    settle(servers).await?;
    let start = Instant::now();
    let commit = if durable { "on" } else { "off" };
    let options = format!(", binary = true, synchronous_commit = {commit}");
    native.subscribe(servers, &options).await?;
    let seconds = start.elapsed().as_secs_f64();
    progress(&format!("native copied in {seconds:.2} s"));
    complete(servers, "copy_native").await?;
    native.halt(servers).await?;
    native.remove(servers)?;
    Ok(seconds)
}

async fn mainstay(servers: &Servers, durable: bool) -> Outcome<f64> {
    let mut mainstay = Mainstay::create(servers, DATABASE, "copy_mainstay").await?;
    settle(servers).await?;
    let start = Instant::now();
    mainstay.go(servers, durable).await?;
    mainstay.copied(servers).await?;
    let seconds = start.elapsed().as_secs_f64();
    let (cpu, memory) = mainstay.usage()?;
    progress(&format!("mainstay copied in {seconds:.2} s, {cpu:.2} s of CPU, {memory:.0} MB"));
    complete(servers, "copy_mainstay").await?;
    mainstay.remove(servers).await?;
    Ok(seconds)
}
