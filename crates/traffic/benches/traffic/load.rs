//! Load from outside: wrk and pgbench, and what they say of it.

use super::Outcome;
use mainstay_testkit::Postgres;
use std::net::SocketAddr;
use tokio::process::Command;

/// What one run of wrk came to.
#[derive(Clone, Copy)]
pub struct Served {
    pub per_second: f64,
    /// Milliseconds.
    pub p99: f64,
    pub requests: f64,
    pub megabytes_per_second: f64,
}

pub async fn wrk(to: SocketAddr, path: &str, connections: usize, seconds: u32) -> Outcome<Served> {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{seconds}s")])
        .args(["--latency", &format!("http://{to}{path}")])
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk at {to}: {text}").into());
    }
    let after = |name: &str| {
        let found = text.lines().find_map(|line| line.trim().strip_prefix(name));
        found.map(|rest| rest.trim().to_owned()).ok_or(format!("wrk says no {name}: {text}"))
    };
    let requests = text.lines().find(|line| line.contains(" requests in "));
    let requests = requests.and_then(|line| line.split_whitespace().next());
    Ok(Served {
        per_second: after("Requests/sec:")?.parse()?,
        p99: milliseconds(&after("99%")?)?,
        requests: requests.ok_or("wrk says no requests")?.parse()?,
        megabytes_per_second: megabytes(&after("Transfer/sec:")?)?,
    })
}

/// `350.00us`, `1.20ms`, `2.01s`
fn milliseconds(text: &str) -> Outcome<f64> {
    scaled(text, &[("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)])
}

/// `812.55KB`, `1.27GB`: wrk counts in powers of two.
fn megabytes(text: &str) -> Outcome<f64> {
    let two = |power: i32| 2f64.powi(power) / 1e6;
    scaled(text, &[("KB", two(10)), ("MB", two(20)), ("GB", two(30)), ("B", 1e-6)])
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Outcome<f64> {
    for (unit, scale) in units {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<f64>()
        {
            return Ok(number * scale);
        }
    }
    Err(format!("{text} has no unit that is known").into())
}

/// Transactions a second.
pub async fn pgbench(server: &Postgres, port: u16, works: &[&str], seconds: u32) -> Outcome<f64> {
    let mut command = Command::from(server.bin("pgbench"));
    command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string());
    command.env("PGDATABASE", "postgres");
    command.args(["-n", "-M", "prepared", "-c", "8", "-j", "1", "-T", &seconds.to_string()]);
    let output = command.args(works).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next());
    match rate.filter(|_| output.status.success()) {
        Some(rate) => Ok(rate.parse()?),
        None => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
