//! What the real Alertmanager shows of what it was told.

use crate::support::{message, sender, target};
use mainstay_alerts::Status;
use mainstay_core::notifier::NotifierKind;
use mainstay_testkit::{AlertmanagerServer, wait_for_value};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn active(server: &AlertmanagerServer) -> Option<Vec<Value>> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).ok()?;
    let request = "GET /api/v2/alerts HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

#[tokio::test]
async fn alertmanager_shows_an_alert_from_its_beginning_to_its_end_as_one() {
    let server = AlertmanagerServer::start();
    let patience = Duration::from_secs(30);
    let url = format!("http://127.0.0.1:{}", server.port());
    let sender = sender(NotifierKind::Alertmanager { to: target(&url, None) });
    // It listens before it is ready.
    wait_for_value("it takes an alert", patience, async || {
        sender.send(&message(Status::Begun)).await.ok()
    })
    .await;
    let mut from_east = message(Status::Lasts);
    from_east.alert.site = mainstay_core::SiteName::new("east").expect("a name");
    sender.send(&from_east).await.unwrap_or_else(|why| panic!("{why}"));
    let shown = wait_for_value("it is shown", patience, async || {
        active(&server).filter(|alerts| !alerts.is_empty())
    })
    .await;
    assert_eq!(shown.len(), 1, "two agents, one alert: {shown:#?}");
    assert_eq!(shown[0]["labels"]["alertname"], "mainstay-link-stopped");
    assert_eq!(shown[0]["labels"]["severity"], "critical");
    assert_eq!(shown[0]["annotations"]["expected_loss"], "at most 1.5 s");
    sender.send(&message(Status::Ended)).await.unwrap_or_else(|why| panic!("{why}"));
    wait_for_value("it is over", patience, async || active(&server).filter(Vec::is_empty)).await;
}
