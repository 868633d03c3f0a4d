//! The line between the agent and its gate.

use super::support::SOON;
use super::support::client::post;
use super::support::site::{LONG, Pair, app};
use http::StatusCode;
use mainstay_core::Epoch;
use mainstay_testkit::wait_for;
use mainstay_traffic::control::{ControlServer, Directive, Posture, Report, client, socket};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

const HOLD: Duration = Duration::from_secs(20);

fn directive(seq: u64) -> Directive {
    let posture = Posture::Closed { reason: "test".to_owned() };
    Directive {
        seq,
        application: app(),
        epoch: Epoch::new(1),
        posture,
        away: Default::default(),
        reads: Default::default(),
    }
}

fn report(seq: u64) -> Report {
    Report {
        seq,
        application: app(),
        epoch: Epoch::new(1),
        posture_name: "closed".to_owned(),
        lapsed: false,
        http_in_flight: 0,
        http_held: 0,
        connections: 0,
        readers_here: 0,
        readers_away: 0,
        in_transaction: 0,
        cut: 0,
        served: 0,
        ignored: 0,
        minute: Default::default(),
        drained: true,
    }
}

#[tokio::test]
async fn only_its_owner_may_open_the_socket_and_an_old_one_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = socket(folder.path());
    for _ in 0..2 {
        let _server = ControlServer::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let missing = ControlServer::bind(&socket(&folder.path().join("missing"))).unwrap_err();
    assert!(missing.to_string().starts_with("MS-GATE-005: "), "{missing}");
}

#[tokio::test]
async fn a_directive_given_before_the_gate_came_is_told_when_it_comes() {
    let folder = TempDir::new().unwrap();
    let path = socket(folder.path());
    let server = ControlServer::bind(&path).unwrap();
    server.send(directive(1));
    server.send(directive(2));
    let (sender, mut directives) = mpsc::channel(8);
    let (_reports, told) = watch::channel(report(0));
    tokio::spawn(async move { client::run(&path, sender, told).await });
    assert_eq!(directives.recv().await.unwrap(), directive(2), "only the newest counts");
}

#[tokio::test]
async fn the_newest_connection_wins() {
    let folder = TempDir::new().unwrap();
    let path = socket(folder.path());
    let server = ControlServer::bind(&path).unwrap();
    let reports = server.watch(&app());
    let mut gates = Vec::new();
    for number in 1..=2 {
        let (sender, directives) = mpsc::channel(8);
        let (reported, told) = watch::channel(report(number));
        let path = path.clone();
        let task = tokio::spawn(async move { client::run(&path, sender, told).await });
        wait_for("the new gate's report", SOON, async || {
            reports.borrow().as_ref().is_some_and(|report| report.seq == number)
        })
        .await;
        gates.push((task, directives, reported));
        if number == 1 {
            // The first gate is stopped, as by SIGSTOP: it does not come back by itself.
            gates[0].0.abort();
        }
    }
    server.send(directive(7));
    assert_eq!(gates[1].1.recv().await.unwrap(), directive(7));
    assert!(gates[0].1.recv().await.is_none());
}

#[tokio::test]
async fn the_report_is_none_while_no_gate_is_there_and_the_last_directive_is_told_again() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    let reports = pair.east.control.as_ref().unwrap().watch(&app());
    pair.east.stop_gate().await;
    wait_for("no report", SOON, async || reports.borrow().is_none()).await;
    pair.east.start_gate();
    pair.east.report(|report| report.posture_name == "serve").await;
    assert_eq!(post(pair.west.http, "/", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_gate_finds_its_restarted_agent_and_serves_on_meanwhile() {
    let mut pair = Pair::serving(HOLD, [1, 1]).await;
    pair.east.control = None;
    assert_eq!(post(pair.east.http, "/", "").await.status(), StatusCode::OK);
    pair.east.start_agent();
    pair.east.report(|report| report.posture_name == "serve" && report.served == 1).await;
    pair.east.close(1).await;
}

#[tokio::test]
async fn reports_come_at_least_every_500_ms() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    let mut reports = pair.east.control.as_ref().unwrap().watch(&app());
    for _ in 0..6 {
        let next = tokio::time::timeout(Duration::from_millis(500), reports.changed()).await;
        assert!(next.is_ok(), "no report for 500 ms");
    }
    pair.east.serve(1, LONG).await;
}
