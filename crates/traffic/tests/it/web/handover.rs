//! A gate that takes over from the one that runs.

use super::super::support::SOON;
use super::super::support::client::{Client, get, post};
use super::super::support::site::{LONG, Pair, app};
use http::{Request, StatusCode};
use mainstay_testkit::wait_for;
use mainstay_traffic::gate::{self, Ended, GateError, GateSpec};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOLD: Duration = Duration::from_secs(20);

type Running = JoinHandle<Result<Ended, GateError>>;

fn second(pair: &Pair) -> (Running, CancellationToken) {
    let stop = CancellationToken::new();
    // Another process reads the configuration for itself.
    let spec = GateSpec { retired: CancellationToken::new(), ..pair.east.spec.clone() };
    (tokio::spawn(gate::run(spec, stop.clone())), stop)
}

/// Clients that never stop asking, each on a connection for as long as the gate keeps it.
fn load(pair: &Pair, go_on: &Arc<AtomicBool>) -> Vec<JoinHandle<usize>> {
    let (address, go_on) = (pair.east.http, go_on.clone());
    let client = move |go_on: Arc<AtomicBool>| async move {
        let (mut answered, mut client) = (0, Client::connect(address).await);
        while go_on.load(SeqCst) {
            let answer = client.send(Request::post("/"), "x").await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            answered += 1;
            if answer.headers().get("connection").is_some_and(|value| value == "close") {
                client = Client::connect(address).await;
            }
        }
        answered
    };
    (0..8).map(|_| tokio::spawn(client(go_on.clone()))).collect()
}

#[tokio::test]
async fn under_load_no_request_fails_and_the_older_gate_ends_with_its_last_connection() {
    let mut pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.serve(1, LONG).await;
    let go_on = Arc::new(AtomicBool::new(true));
    let clients = load(&pair, &go_on);
    let slow = tokio::spawn(post(pair.east.http, "/slow", "slow"));
    pair.east.report(|report| report.http_in_flight > 0 && report.served > 100).await;
    let (younger, _stop) = second(&pair);
    let (older, _) = pair.east.running.take().unwrap();
    // The younger one counts from nothing: its own report, with what the older one still answers.
    pair.east.report(|report| report.served > 100 && report.http_in_flight > 0).await;
    wait_for("the clients to be at the younger gate", SOON, async || {
        let mut idle = Client::connect(pair.east.http).await;
        let answer = idle.send(Request::get("/"), "").await.unwrap();
        !answer.headers().contains_key("connection")
    })
    .await;
    assert!(!older.is_finished(), "it still answers one request");
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    assert_eq!(slow.await.unwrap().body(), "east:slow");
    assert_eq!(older.await.unwrap().unwrap(), Ended::HandedOver);
    go_on.store(false, SeqCst);
    let answered: Vec<_> = futures::future::join_all(clients).await;
    assert!(answered.iter().all(|count| *count.as_ref().expect("no request failed") > 0));
    assert!(!younger.is_finished());
}

#[tokio::test]
async fn what_the_older_gate_still_does_is_cut_when_the_agent_says_so() {
    let mut pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.serve(1, LONG).await;
    let slow = tokio::spawn(post(pair.east.http, "/slow", "slow"));
    pair.east.report(|report| report.http_in_flight == 1).await;
    let (_younger, _stop) = second(&pair);
    let (older, _) = pair.east.running.take().unwrap();
    wait_for("the younger gate to answer", SOON, async || {
        !get(pair.east.http, "/").await.headers().contains_key("connection")
    })
    .await;
    let report = pair.east.hold(1, LONG).await;
    assert!(!report.drained, "the older gate answers a request");
    pair.east.close(2).await;
    assert_eq!(slow.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(older.await.unwrap().unwrap(), Ended::HandedOver);
    pair.east.report(|report| report.drained).await;
}

#[tokio::test]
async fn a_younger_gate_that_ends_before_it_hears_the_agent_changes_nothing() {
    let mut pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.serve(1, LONG).await;
    pair.east.control = None;
    let (younger, _stop) = second(&pair);
    let refused = younger.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), "MS-GATE-008");
    for _ in 0..20 {
        assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    }
    pair.east.start_agent();
    pair.east.serve(1, LONG).await;
    let report = pair.east.report(|_| true).await;
    assert_eq!((report.application, report.posture_name.as_str()), (app(), "serve"));
}
