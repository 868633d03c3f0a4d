//! The gate's ports for stores beside HAProxy's TCP mode.

use super::http::{Candidate, in_turn, median, tell, ways};
use super::load::pgbench;
use super::process::listens;
use super::report::Report;
use super::rivals;
use super::world::sites;
use super::{Arguments, Outcome};
use mainstay_testkit::{Options, Postgres};
use tempfile::TempDir;

const CONNECTIONS: usize = 64;

/// Bytes: many small exchanges, and 1 MB at a time.
pub async fn run(arguments: &Arguments, report: &mut Report) -> Outcome<()> {
    let [mut east, _west] = sites(1).await?;
    east.serve(1).await?;
    let folder = TempDir::new()?;
    let ways = ways(&east);
    let haproxy = rivals::haproxy(folder.path(), &ways)?;
    listens(ways.plain[0]).await?;
    let candidates = [
        Candidate { name: "nobody", at: east.order.upstream, process: None },
        Candidate { name: "HAProxy", at: ways.plain[0], process: Some(&haproxy) },
        Candidate { name: "gate", at: east.order.plain[0], process: Some(&east.gate) },
    ];
    let figures = in_turn(arguments, &candidates, "/", CONNECTIONS).await?;
    tell(report, "TCP, exchanges on 64 connections", &figures);
    let bulk = in_turn(arguments, &candidates, "/bulk", 8).await?;
    let rates: Vec<_> =
        bulk.iter().map(|one| (one.name, one.served.megabytes_per_second)).collect();
    report.beside("TCP, 1 MB at a time on 8 connections", &rates, "MB/s");
    // 100,000 requests of it are 100 GB.
    let cpu: Vec<_> = bulk.iter().map(|one| (one.name, one.cpu / 100.0)).collect();
    report.beside("TCP, 1 MB at a time: processor for 1 GB", &cpu[1..], "s");
    Ok(())
}

/// pgbench, whose clients each wait for one answer after the other.
pub async fn postgres(arguments: &Arguments, report: &mut Report) -> Outcome<()> {
    let server = Postgres::start(Options::default());
    let [mut east, _west] = sites(server.port()).await?;
    east.serve(1).await?;
    let folder = TempDir::new()?;
    let ways = ways(&east);
    let _haproxy = rivals::haproxy(folder.path(), &ways)?;
    listens(ways.postgres[0]).await?;
    let ports = [
        ("nobody", server.port()),
        ("HAProxy", ways.postgres[0].port()),
        ("gate", east.order.postgres[0].port()),
    ];
    let mut init = server.bin("pgbench");
    init.env("PGHOST", "127.0.0.1").env("PGPORT", server.port().to_string());
    init.env("PGDATABASE", "postgres").args(["-i", "-q", "-s", "10"]);
    if !init.status()?.success() {
        return Err("pgbench -i failed".into());
    }
    let (seconds, rounds) = arguments.load();
    for (work, script) in [("pgbench -S", &["-S"][..]), ("pgbench, TPC-B", &[])] {
        let mut rates = [(); 3].map(|()| Vec::new());
        for _ in 0..rounds {
            for ((_, port), rates) in ports.iter().zip(&mut rates) {
                rates.push(pgbench(&server, *port, script, seconds).await?);
            }
        }
        let medians = rates.iter().map(|rates| median(rates.iter().copied()));
        let figures: Vec<_> = ports.iter().map(|(name, _)| *name).zip(medians).collect();
        report.beside(&format!("{work}, 8 clients"), &figures, "transactions/s");
    }
    Ok(())
}
