//! The network between the sites is cut: connections stay open and silent.

use super::support::client::{code, get, post};
use super::support::relay::Relay;
use super::support::site::{LONG, Pair, site_name};
use http::StatusCode;
use mainstay_testkit::{Options, Postgres};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// West reaches east through the relay; both know epoch 1, in which east serves.
async fn behind_a_relay(hold: Duration, databases: [u16; 2]) -> (Pair, Relay) {
    let relay = OnceLock::new();
    let pair = Pair::start_with(hold, databases, |spec| {
        if spec.here == site_name("west") {
            let east = &spec.peers[&site_name("east")];
            let relay = relay.get_or_init(|| Relay::start(east.parse().expect("an address")));
            spec.peers.insert(site_name("east"), relay.address.to_string());
        }
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    (pair, relay.into_inner().expect("west was made"))
}

#[tokio::test]
async fn requests_do_not_wait_for_ever_on_a_cut_network_and_safe_ones_survive_the_cut() {
    let (pair, relay) = behind_a_relay(Duration::from_secs(120), [1, 1]).await;
    let west = pair.west.http;
    for _ in 0..8 {
        assert_eq!(post(west, "/", "before").await.status(), StatusCode::OK);
    }
    let unsafe_one = tokio::spawn(post(west, "/slow", ""));
    let safe_one = tokio::spawn(async move { get(west, "/slow").await });
    pair.east.report(|report| report.http_in_flight == 2).await;
    relay.cut(true);
    let began = Instant::now();
    let new_one = tokio::spawn(post(west, "/", "during"));
    let response = unsafe_one.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&response), "MS-GATE-014");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    relay.cut(false);
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(2));
    assert_eq!(safe_one.await.unwrap().status(), StatusCode::OK);
    let status = new_one.await.unwrap().status();
    assert!([200, 503].contains(&status.as_u16()), "{status}");
    assert_eq!(post(west, "/", "after").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_database_session_over_a_cut_network_ends_and_the_active_sites_own_clients_go_on() {
    let server = Postgres::start(Options::default().fsync(false));
    let (pair, relay) = behind_a_relay(Duration::from_secs(1), [server.port(), 1]).await;
    let far = super::postgres::connect(&server, pair.west.db).await.unwrap();
    let near = super::postgres::connect(&server, pair.east.db).await.unwrap();
    far.batch_execute("BEGIN").await.unwrap();
    relay.cut(true);
    let commit = tokio::time::timeout(Duration::from_secs(10), far.batch_execute("COMMIT")).await;
    assert!(commit.expect("it does not wait for ever").is_err());
    pair.west.report(|report| report.connections == 0).await;
    near.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(code(&post(pair.west.http, "/", "").await), "MS-GATE-010");
    assert_eq!(post(pair.east.http, "/", "").await.status(), StatusCode::OK);
    relay.cut(false);
    pair.west.report(|report| report.posture_name == "forward").await;
}
