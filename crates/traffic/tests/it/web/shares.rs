//! Requests that only read, shared among sites.

use super::super::support::SOON;
use super::super::support::client::{Client, get, post};
use super::super::support::site::{LONG, Pair, site_name};
use http::{Request, StatusCode};
use mainstay_testkit::wait_for;
use std::net::SocketAddr;
use std::time::Duration;

async fn weighted(east: u32, west: u32) -> Pair {
    let pair = Pair::start_with(Duration::from_secs(20), [1, 1], |spec| {
        let options = &mut spec.http.as_mut().expect("there").options;
        options.weights = [(site_name("east"), east), (site_name("west"), west)].into();
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    // The gate at west answers by itself once east's has agreed to the epoch.
    wait_for("west to take its share", SOON, async || {
        let mut seen = false;
        for _ in 0..20 {
            seen |= get(pair.west.http, "/").await.headers()["x-site"] == "west";
        }
        seen
    })
    .await;
    pair
}

async fn answered_by_west(gate: SocketAddr, requests: usize) -> usize {
    let mut client = Client::connect(gate).await;
    let mut west = 0;
    for _ in 0..requests {
        let answer = client.send(Request::get("/"), "").await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        west += usize::from(answer.headers()["x-site"] == "west");
    }
    west
}

#[tokio::test]
async fn both_sites_answer_what_only_reads_and_the_active_one_everything_else() {
    let pair = weighted(50, 50).await;
    for gate in [pair.east.http, pair.west.http] {
        let west = answered_by_west(gate, 100).await;
        assert!((45..=55).contains(&west), "{west} of 100");
        for _ in 0..10 {
            assert_eq!(post(gate, "/", "x").await.headers()["x-site"], "east");
        }
    }
    let seen = pair.record.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.site == "east" || seen.method == "GET"));
}

#[tokio::test]
async fn a_canary_gets_its_few_percent() {
    let pair = weighted(95, 5).await;
    let west = answered_by_west(pair.east.http, 200).await;
    assert!((8..=12).contains(&west), "{west} of 200");
}

#[tokio::test]
async fn a_site_that_is_closed_or_at_another_epoch_or_gone_takes_no_share_and_no_request_fails() {
    let mut pair = weighted(50, 50).await;
    pair.west.close(1).await;
    assert_eq!(answered_by_west(pair.east.http, 20).await, 0);
    pair.west.forward(2, "east").await;
    assert_eq!(answered_by_west(pair.east.http, 20).await, 0);
    pair.east.serve(2, LONG).await;
    assert!(answered_by_west(pair.east.http, 20).await > 5);
    pair.west.stop_gate().await;
    assert_eq!(answered_by_west(pair.east.http, 20).await, 0);
}

#[tokio::test]
async fn a_site_that_the_active_one_does_not_agree_with_answers_nothing_by_itself() {
    let mut pair = weighted(50, 50).await;
    assert!(answered_by_west(pair.west.http, 20).await > 5);
    pair.east.stop_gate().await;
    // The word of the active site's gate counts for three seconds.
    wait_for("west to answer nothing", SOON, async || {
        let mut client = Client::connect(pair.west.http).await;
        let wait = tokio::time::timeout(Duration::from_millis(300), async {
            for _ in 0..4 {
                client.send(Request::get("/"), "").await.unwrap();
            }
        });
        wait.await.is_err()
    })
    .await;
}
