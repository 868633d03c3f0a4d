//! Requests on kept connections, through each proxy in turn.

use super::load::{Served, wrk};
use super::process::{Process, listens};
use super::report::Report;
use super::rivals::{self, Ways};
use super::world::{Site, local, sites};
use super::{Arguments, Outcome};
use std::net::SocketAddr;
use tempfile::TempDir;

const CONNECTIONS: usize = 64;

/// One proxy under the same load as the others.
pub struct Candidate<'a> {
    pub name: &'static str,
    pub at: SocketAddr,
    /// None: nobody between.
    pub process: Option<&'a Process>,
}

/// The medians of a few runs, which went round in turn.
pub struct Figures {
    pub name: &'static str,
    pub served: Served,
    /// Processor time of the proxy for 100,000 requests, in seconds.
    pub cpu: f64,
}

pub async fn run(arguments: &Arguments, report: &mut Report) -> Outcome<()> {
    let [mut east, mut west] = sites(1).await?;
    east.serve(1).await?;
    west.forward(1, "east").await?;
    let folder = TempDir::new()?;
    let (ways, nginx_at) = (ways(&east), local());
    let haproxy = rivals::haproxy(folder.path(), &ways)?;
    let nginx = rivals::nginx_proxy(folder.path(), nginx_at, east.order.upstream)?;
    listens(ways.http[0]).await?;
    listens(nginx_at).await?;
    let candidates = [
        Candidate { name: "nobody", at: east.order.upstream, process: None },
        Candidate { name: "HAProxy", at: ways.http[0], process: Some(&haproxy) },
        Candidate { name: "nginx", at: nginx_at, process: Some(&nginx) },
        Candidate { name: "gate", at: east.order.http, process: Some(&east.gate) },
    ];
    let figures = in_turn(arguments, &candidates, "/", CONNECTIONS).await?;
    tell(report, "HTTP, 64 kept connections", &figures);
    let through = wrk(west.order.http, "/", CONNECTIONS, arguments.load().0).await?;
    report.alone("HTTP, through the other site's gate", through.per_second, "requests/s");
    Ok(())
}

/// What HAProxy listens on, leading to the same servers as the gate.
pub fn ways(site: &Site) -> Ways {
    Ways {
        http: [local(), site.order.upstream],
        plain: [local(), site.order.upstream],
        postgres: [local(), site.order.postgres[1]],
    }
}

/// Each candidate in turn, several times: what else the machine does hits all of them.
pub async fn in_turn(
    arguments: &Arguments,
    candidates: &[Candidate<'_>],
    path: &str,
    connections: usize,
) -> Outcome<Vec<Figures>> {
    let (seconds, rounds) = arguments.load();
    let mut runs: Vec<Vec<(Served, f64)>> = candidates.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (candidate, runs) in candidates.iter().zip(&mut runs) {
            let cpu = || candidate.process.map_or(Ok(0.0), Process::cpu_seconds);
            let before = cpu()?;
            let served = wrk(candidate.at, path, connections, seconds).await?;
            runs.push((served, (cpu()? - before) * 100_000.0 / served.requests));
        }
    }
    let figures = candidates.iter().zip(runs).map(|(candidate, runs)| Figures {
        name: candidate.name,
        served: Served {
            per_second: median(runs.iter().map(|(served, _)| served.per_second)),
            p99: median(runs.iter().map(|(served, _)| served.p99)),
            requests: median(runs.iter().map(|(served, _)| served.requests)),
            megabytes_per_second: median(
                runs.iter().map(|(served, _)| served.megabytes_per_second),
            ),
        },
        cpu: median(runs.iter().map(|(_, cpu)| *cpu)),
    });
    Ok(figures.collect())
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn tell(report: &mut Report, work: &str, figures: &[Figures]) {
    let each = |value: fn(&Figures) -> f64| {
        figures.iter().map(|one| (one.name, value(one))).collect::<Vec<_>>()
    };
    report.beside(work, &each(|one| one.served.per_second), "requests/s");
    report.beside(&format!("{work}: 99th percentile"), &each(|one| one.served.p99), "ms");
    let proxies: Vec<_> = each(|one| one.cpu).into_iter().filter(|(_, cpu)| *cpu > 0.0).collect();
    report.beside(&format!("{work}: processor for 100,000"), &proxies, "s");
}
