//! The access log.

use super::super::support::SOON;
use super::super::support::client::{Client, post};
use super::super::support::site::{LONG, Pair};
use http::Request;
use mainstay_core::estate::AccessLog;
use mainstay_testkit::wait_for_value;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

async fn lines(file: &Path, count: usize) -> Vec<Value> {
    wait_for_value("the log's lines", SOON, async || {
        let text = std::fs::read_to_string(file).ok()?;
        let lines: Vec<_> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

#[tokio::test]
async fn every_request_is_a_line_without_anything_secret() {
    let folder = TempDir::new().unwrap();
    let pair = Pair::start_with(Duration::from_millis(200), [1, 1], |spec| {
        let file = folder.path().join(format!("{}.jsonl", spec.here));
        spec.http.as_mut().unwrap().options.log = Some(AccessLog { file, queries: false });
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    let request = Request::post("/pay?token=canary")
        .header("authorization", "Bearer canary")
        .header("cookie", "session=canary")
        .header("user-agent", "tester");
    Client::connect(pair.west.http).await.send(request, "ten").await.unwrap();
    pair.east.close(2).await;
    pair.west.close(2).await;
    post(pair.west.http, "/refused", "").await;
    let logged = lines(&folder.path().join("west.jsonl"), 2).await;
    let text = serde_json::to_string(&logged).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let [first, second] = &logged[..] else { panic!("{text}") };
    for (key, expected) in [
        ("client", Value::from("127.0.0.1")),
        ("method", "POST".into()),
        ("host", "bank.example".into()),
        ("path", "/pay".into()),
        ("version", "HTTP/1.1".into()),
        ("status", 200.into()),
        ("bytes", "east:ten".len().into()),
        ("site", "east".into()),
        ("epoch", 1.into()),
        ("agent", "tester".into()),
        ("complete", true.into()),
    ] {
        assert_eq!(first[key], expected, "{key}");
    }
    assert_eq!((&second["path"], &second["status"]), (&"/refused".into(), &503.into()));
    assert!(second.get("site").is_none(), "no site answered");
    // What one gate passes on is no client's request at the other.
    assert!(!folder.path().join("east.jsonl").metadata().is_ok_and(|file| file.len() > 0));
}
