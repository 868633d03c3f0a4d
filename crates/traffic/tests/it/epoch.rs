//! Whoever has seen a newer epoch refuses the older.

use super::support::client::{code, post};
use super::support::site::{LONG, Pair};
use http::StatusCode;
use mainstay_core::Epoch;
use mainstay_traffic::control::Posture;
use mainstay_traffic::tick;
use std::time::Duration;

const HOLD: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_stale_directive_is_ignored_also_after_a_restart_of_the_gate() {
    let mut pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.serve(7, LONG).await;
    pair.east.close(7).await;
    pair.east.tell(6, Posture::Serve { until: tick::now().plus(LONG) });
    let report = pair.east.report(|report| report.ignored == 1).await;
    assert_eq!((report.epoch, report.posture_name.as_str()), (Epoch::new(7), "closed"));
    assert_eq!(code(&post(pair.east.http, "/", "stale").await), "MS-GATE-010");

    pair.east.stop_gate().await;
    pair.east.start_gate();
    // The agent's end still holds the stale directive and sends it again.
    let report = pair.east.report(|report| report.ignored == 1 && report.seq == 0).await;
    assert_eq!((report.epoch, report.posture_name.as_str()), (Epoch::new(7), "closed"));
    assert_eq!(code(&post(pair.east.http, "/", "stale").await), "MS-GATE-010");
    assert!(pair.record.lock().unwrap().is_empty());

    pair.east.serve(8, LONG).await;
    assert_eq!(post(pair.east.http, "/", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_gate_behind_or_ahead_of_the_active_site_gets_nothing_through_to_it() {
    let pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.serve(5, LONG).await;
    for epoch in [4, 6] {
        pair.west.forward(epoch, "east").await;
        let response = post(pair.west.http, "/", "wrong epoch").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "at epoch {epoch}");
    }
    assert!(pair.record.lock().unwrap().is_empty());
    pair.east.serve(6, LONG).await;
    assert_eq!(post(pair.west.http, "/", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_open_tunnel_carries_nothing_once_the_other_gate_has_moved_on() {
    let pair = Pair::serving(HOLD, [1, 1]).await;
    assert_eq!(post(pair.west.http, "/", "first").await.status(), StatusCode::OK);
    pair.east.serve(2, LONG).await;
    let response = post(pair.west.http, "/", "second").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(pair.record.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn two_gates_that_point_at_each_other_pass_nothing_on_in_a_circle() {
    let pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.forward(3, "west").await;
    pair.west.forward(3, "east").await;
    assert_eq!(code(&post(pair.east.http, "/", "").await), "MS-GATE-010");
    assert!(pair.record.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_epoch_that_cannot_be_kept_is_not_served() {
    let pair = Pair::start(HOLD, [1, 1]).await;
    // A folder in the file's place stands for a disk that takes no more writes: rename(2) fails.
    let path = pair.east.spec.state_dir.join("gate-epoch.json");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let report = pair.east.serve(9, LONG).await;
    assert_eq!(report.posture_name, "closed");
    let response = post(pair.east.http, "/", "").await;
    assert!(String::from_utf8_lossy(response.body()).contains("MS-GATE-006"), "{response:?}");
    std::fs::remove_dir(&path).unwrap();
    pair.east.serve(9, LONG).await;
    assert_eq!(post(pair.east.http, "/", "").await.status(), StatusCode::OK);
}
