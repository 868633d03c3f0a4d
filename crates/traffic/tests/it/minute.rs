//! What a gate tells its agent of its clients. The oracle is what the test asked for.

use super::support::client::{Client, get, raw};
use super::support::site::{LONG, Pair};
use http::Request;
use mainstay_core::watch::Minute;
use std::time::Duration;

const HOLD: Duration = Duration::from_millis(300);

#[tokio::test]
async fn each_gate_counts_its_own_clients_and_no_probe() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    for path in ["/", "/status/404", "/status/500", "/status/503"] {
        get(pair.east.http, path).await;
    }
    get(pair.west.http, "/status/502").await;
    let probe = Request::get("/status/500").header("user-agent", "mainstay-probe");
    Client::connect(pair.east.http).await.send(probe, "").await.expect("an answer");
    raw(pair.east.db, b"\0\0\0\x08\0\x03\0\0").await;
    let expected = Minute { requests: 4, failed: 2, connections: 1, unconnected: 1 };
    pair.east.report(|report| report.minute == expected).await;
    let expected = Minute { requests: 1, failed: 1, ..Minute::default() };
    pair.west.report(|report| report.minute == expected).await;
    pair.east.upstreams.clear();
    get(pair.east.http, "/").await;
    pair.east.report(|report| (report.minute.requests, report.minute.failed) == (5, 3)).await;
}

/// That no site serves at a moment is told elsewhere, and is no fault of the application.
#[tokio::test]
async fn a_request_that_was_held_in_vain_is_not_counted() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    get(pair.east.http, "/").await;
    pair.east.close(1).await;
    assert_eq!(get(pair.east.http, "/").await.status(), 503);
    pair.east.serve(1, LONG).await;
    get(pair.east.http, "/").await;
    let expected = Minute { requests: 2, ..Minute::default() };
    pair.east.report(|report| report.minute == expected).await;
}
