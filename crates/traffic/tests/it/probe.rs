//! Probes against real servers.

use super::support::upstream::{Record, Upstream};
use mainstay_testkit::free_port;
use mainstay_traffic::probe::{FailureKind, http, tcp};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Answers the first connection with these bytes and closes, or keeps it open when there are none.
async fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        let _ = stream.write_all(answer).await;
    });
    address
}

#[tokio::test]
async fn any_2xx_is_healthy_and_nothing_else_is() {
    let upstream = Upstream::start("east", Record::default()).await;
    let address = upstream.address.to_string();
    for status in [200, 204] {
        assert!(http(&address, &format!("/status/{status}"), TIMEOUT).await.is_ok());
    }
    for status in [301, 404, 500, 503] {
        let failure = http(&address, &format!("/status/{status}"), TIMEOUT).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Status(status));
    }
    assert!(tcp(&address, TIMEOUT).await.is_ok());
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_refused() {
    let address = format!("127.0.0.1:{}", free_port());
    assert_eq!(tcp(&address, TIMEOUT).await.unwrap_err().kind, FailureKind::Refused);
    assert_eq!(http(&address, "/", TIMEOUT).await.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_hang_up_or_nonsense_is_told_apart() {
    let short = Duration::from_millis(200);
    let failure = http(&server(b"").await, "/", short).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    let failure = http(&server(b"220 mail ready\r\n").await, "/", TIMEOUT).await.unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Protocol(_)), "{failure}");
    let failure = http(&server(b"HTTP/1.1 20").await, "/", TIMEOUT).await.unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Unreachable(_)), "{failure}");
    let failure = tcp("no-such-name.invalid:1", TIMEOUT).await.unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Unreachable(_)), "{failure}");
}
