//! A comparison of two sides that differ in one row, beside the sums of 32-bit hashes that
//! `pgcopydb compare data` asks both sides for. Those cannot say which row it is.

use super::applier::Applier;
use super::arguments::Sizes;
use super::report::Report;
use super::world::{self, Servers, psql};
use super::{Outcome, backlog, progress};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Held};
use mainstay_testkit::Postgres;
use std::time::Instant;

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
    backlog::pgbench_tables(servers, DATABASE, sizes.copy_scale)?;
    let copied = Applier::mainstay(servers, DATABASE).await?;
    let target = copied.target();
    let change = format!(
        "UPDATE public.pgbench_accounts SET abalance = abalance + 1 WHERE aid = {DIFFERENT}"
    );
    psql(&servers.target, target, &change)?;
    let (mut sums, mut mainstay) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        sums = sums.min(self::sums(servers, target).await?);
        mainstay = mainstay.min(self::mainstay(servers, target).await?);
    }
    let rows = f64::from(sizes.copy_scale) / 10.0;
    let work = format!("comparison of {rows} million rows, one different");
    report.cost(&work, true, [sums, mainstay], "s")
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
