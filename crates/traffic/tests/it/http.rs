//! What a client of the HTTP gate sees.

use super::support::SOON;
use super::support::client::{Client, code, get, post, raw};
use super::support::site::{LONG, Pair};
use http::{Method, Request, StatusCode};
use mainstay_testkit::wait_for;
use std::time::{Duration, Instant};

const HOLD: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_active_site_serves_and_the_other_passes_on_to_it() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    for gate in [pair.east.http, pair.west.http] {
        let response = post(gate, "/transfer?x=1", "ten").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), "east:ten");
        assert_eq!(response.headers()["x-site"], "east");
        assert!(!response.headers().contains_key("keep-alive"), "it concerns one connection only");
    }
    for seen in pair.record.lock().unwrap().iter() {
        assert_eq!((&seen.method, seen.path.as_str()), (&Method::POST, "/transfer"));
        assert_eq!(seen.headers["mainstay-epoch"], "1");
        assert_eq!(seen.headers["host"], "bank.example");
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways_here_and_through_the_tunnel() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let large = "y".repeat(5_000_000);
    for gate in [pair.east.http, pair.west.http] {
        assert_eq!(post(gate, "/", large.clone()).await.body().len(), large.len() + "east:".len());
        assert_eq!(get(gate, "/big/7000000").await.body().len(), 7_000_000);
    }
}

#[tokio::test]
async fn the_upstreams_share_the_work_and_one_that_is_gone_is_passed_over() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    for _ in 0..10 {
        assert_eq!(post(pair.east.http, "/", "").await.status(), StatusCode::OK);
    }
    for upstream in &pair.east.upstreams {
        assert!(*upstream.entered.borrow() > 0, "one upstream had no work");
    }
    pair.east.upstreams.pop();
    for _ in 0..20 {
        assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    }
    pair.east.upstreams.clear();
    let response = post(pair.east.http, "/", "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&response), "MS-GATE-012");
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_status_of_the_upstream_is_passed_on_as_it_is() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    for gate in [pair.east.http, pair.west.http] {
        for status in [201, 404, 409, 500, 503] {
            assert_eq!(get(gate, &format!("/status/{status}")).await.status(), status);
        }
    }
}

#[tokio::test]
async fn a_closed_gate_holds_and_then_refuses() {
    let pair = Pair::start(Duration::from_millis(300), [1, 1]).await;
    let began = Instant::now();
    let response = post(pair.east.http, "/", "").await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&response), "MS-GATE-010");
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(pair.record.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_held_request_is_answered_once_the_gate_serves() {
    let pair = Pair::start(HOLD, [1, 1]).await;
    let request = tokio::spawn(post(pair.east.http, "/", "held"));
    pair.east.report(|report| report.http_held == 1).await;
    pair.east.serve(1, LONG).await;
    assert_eq!(request.await.unwrap().body(), "east:held");
    pair.east.report(|report| report.http_held == 0 && report.served == 1).await;
}

#[tokio::test]
async fn silence_of_the_agent_cuts_at_until_and_refuses() {
    let pair = Pair::start(Duration::from_millis(200), [1, 1]).await;
    pair.east.serve(1, Duration::from_secs(2)).await;
    assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    let cut = post(pair.east.http, "/slow", "").await;
    assert_eq!(code(&cut), "MS-GATE-014");
    assert_eq!(code(&post(pair.east.http, "/", "late").await), "MS-GATE-010");
    let report = pair.east.report(|report| report.lapsed && report.drained).await;
    assert_eq!(report.posture_name, "closed");
    assert!(pair.record.lock().unwrap().iter().all(|seen| seen.body != "late"));
}

#[tokio::test]
async fn hold_lets_what_is_in_flight_end_and_only_then_is_drained() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let slow = tokio::spawn(post(pair.west.http, "/slow", "in flight"));
    pair.east.report(|report| report.http_in_flight == 1).await;
    let report = pair.east.hold(1, LONG).await;
    assert!(!report.drained);
    let held = tokio::spawn(post(pair.east.http, "/", "held"));
    pair.east.report(|report| report.http_held == 1 && !report.drained).await;
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    assert_eq!(slow.await.unwrap().body(), "east:in flight");
    pair.east.report(|report| report.drained && report.http_held == 1).await;
    pair.east.serve(1, LONG).await;
    assert_eq!(held.await.unwrap().body(), "east:held");
}

#[tokio::test]
async fn closing_answers_what_is_in_flight_with_503_and_repeats_only_safe_requests() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let unsafe_one = tokio::spawn(post(pair.east.http, "/slow", "x"));
    let address = pair.east.http;
    let safe_one = tokio::spawn(async move { get(address, "/slow").await });
    pair.east.report(|report| report.http_in_flight == 2).await;
    pair.east.close(1).await;
    let response = unsafe_one.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&response), "MS-GATE-014");
    pair.west.serve(2, LONG).await;
    pair.west.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    pair.east.forward(2, "west").await;
    assert_eq!(safe_one.await.unwrap().headers()["x-site"], "west");
}

#[tokio::test]
async fn an_answer_under_way_is_broken_off_when_the_gate_closes() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let mut client = Client::connect(pair.east.http).await;
    // Far more than the buffers between: the client does not read on until the gate has closed.
    let answer = tokio::spawn(async move { client.send(Request::get("/big/300000000"), "").await });
    pair.east.report(|report| report.http_in_flight == 1).await;
    pair.east.close(1).await;
    pair.east.report(|report| report.drained).await;
    assert!(answer.await.unwrap().is_err(), "the answer looked complete");
}

#[tokio::test]
async fn a_request_that_its_upstream_broke_is_answered_with_502() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    let request = tokio::spawn(post(pair.east.http, "/slow", "x"));
    pair.east.report(|report| report.http_in_flight == 1).await;
    wait_for("the request at an upstream", SOON, async || {
        pair.east.upstreams.iter().any(|upstream| *upstream.entered.borrow() == 1)
    })
    .await;
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.close());
    pair.east.upstreams.clear();
    let response = request.await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(code(&response), "MS-GATE-013");
}

#[tokio::test]
async fn what_could_smuggle_a_request_is_refused() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    for request in [
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nabcd",
        "CONNECT a:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        let answer = raw(pair.east.http, request.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        // Closing with unread bytes may overtake the answer.
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{request:?}: {text}");
    }
    assert!(pair.record.lock().unwrap().is_empty());
}

#[tokio::test]
async fn head_and_expect_continue_and_http_1_0_work() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let head = raw(pair.east.http, b"HEAD /big/9 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let head = String::from_utf8(head.await).unwrap();
    assert!(head.contains("content-length: 9\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let expect = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
                   connection: close\r\n\r\nhi";
    let expect = String::from_utf8(raw(pair.west.http, expect).await).unwrap();
    assert!(expect.starts_with("HTTP/1.1 100 ") && expect.contains("east:hi"), "{expect}");
    let old = String::from_utf8(raw(pair.east.http, b"GET / HTTP/1.0\r\n\r\n").await).unwrap();
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with("east:"), "{old}");
}
