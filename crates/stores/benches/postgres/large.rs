//! One large transaction: from its commit at the source until it is visible at the target.

use super::applier::{Applier, Usage};
use super::arguments::Sizes;
use super::report::Report;
use super::world::{self, NEXT_MARK, Servers, mark, number};
use super::{Outcome, progress};
use std::time::{Duration, Instant};

pub const NAME: &str = "large";
const TABLES: &[&str] = &["large"];

/// Each system has a source database of its own: what one does, the other need not apply.
const NATIVE: &str = "large_n";
const MAINSTAY: &str = "large_m";

pub async fn run(servers: &Servers, sizes: &Sizes, report: &mut Report) -> Outcome<()> {
    let schema = "CREATE TABLE large (id bigint PRIMARY KEY, v int NOT NULL, note text NOT NULL)";
    servers.create_source(NATIVE, schema)?;
    servers.create_source(MAINSTAY, schema)?;
    let mut native = Applier::native(servers, NATIVE).await?;
    let mut mainstay = Applier::mainstay(servers, MAINSTAY).await?;
    let rows = sizes.large_rows;
    for durable in [true, false] {
        stream(&native, servers, "on")?;
        let on = measure(servers, &mut native, NATIVE, rows, durable).await?;
        stream(&native, servers, "parallel")?;
        let parallel = measure(servers, &mut native, NATIVE, rows, durable).await?;
        let ours = measure(servers, &mut mainstay, MAINSTAY, rows, durable).await?;
        let title = match rows {
            2_000_000 => "a transaction of 2 million rows, commit to visible".to_owned(),
            rows => format!("a transaction of {rows} rows, commit to visible"),
        };
        report.cost(&title, durable, [parallel.0, ours.0], "s")?;
        let sync = if durable { "on" } else { "off" };
        report.note(format!("{title}, sync {sync}: native with streaming = on {:.2} s", on.0));
        for (name, (_, usage)) in [("native, parallel", parallel), ("mainstay", ours)] {
            report.note(format!("{title}, sync {sync}: {name}: {usage}"));
        }
    }
    Ok(())
}

fn stream(native: &Applier, servers: &Servers, mode: &str) -> Outcome<()> {
    match native {
        Applier::Native(native) => native.stream(servers, mode),
        Applier::Mainstay(_) => Ok(()),
    }
}

async fn measure(
    servers: &Servers,
    applier: &mut Applier,
    database: &str,
    rows: u32,
    durable: bool,
) -> Outcome<(f64, Usage)> {
    applier.catch_up(servers, database).await?;
    progress(&format!("{applier}: one transaction of {rows} rows"));
    let source = servers.source.client(database).await;
    let target = servers.target.client(applier.target()).await;
    applier.go(servers, durable).await?;
    let caught_up = mark(&source).await?;
    applier.seen(&target, caught_up, Duration::from_millis(5)).await?;
    source.batch_execute("BEGIN").await?;
    let insert = format!(
        "INSERT INTO large SELECT i, i % 1000, 'a note of some forty bytes for row ' || i \
         FROM generate_series(1, {rows}) i"
    );
    source.batch_execute(&insert).await?;
    let last = number(&source, NEXT_MARK).await?;
    let commit = Instant::now();
    source.batch_execute("COMMIT").await?;
    let seen = applier.seen(&target, last, Duration::from_millis(1)).await?;
    let usage = applier.usage(servers).await?;
    let seconds = (seen - commit).as_secs_f64();
    progress(&format!("{applier} took {seconds:.2} s: {usage}"));
    world::check(servers, database, applier.target(), TABLES).await?;
    source.batch_execute("TRUNCATE large").await?;
    let emptied = mark(&source).await?;
    applier.seen(&target, emptied, Duration::from_millis(5)).await?;
    applier.halt(servers).await?;
    Ok((seconds, usage))
}
