//! How much the gate costs: `make bench`. It measures and judges nothing, so `.config/nextest.toml`
//! leaves it out of an ordinary run.

use super::support::site::{LONG, Pair};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::process::Command;

async fn wrk(name: &str, address: SocketAddr) {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", "32", "-d", "5s", "--latency"])
        .arg(format!("http://{address}/"))
        .output()
        .await
        .expect("wrk is installed (apt-get install wrk)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{name}:");
    for line in text.lines().filter(|line| {
        ["50%", "99%", "Requests/sec", "Non-2xx", "Socket errors"].iter().any(|w| line.contains(w))
    }) {
        println!("  {}", line.trim());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_a_second_direct_through_the_gate_and_through_the_tunnel() {
    let pair = Pair::serving(Duration::from_secs(30), [1, 1]).await;
    wrk("direct", pair.east.upstreams[0].address).await;
    wrk("through the gate", pair.east.http).await;
    wrk("through the other site's gate and the tunnel", pair.west.http).await;
    pair.east.serve(1, LONG).await;
}
