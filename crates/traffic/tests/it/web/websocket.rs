//! WebSockets that come over HTTP/2, by hyper's own client and frames that are written by hand
//! (RFC 6455, section 5.7).

use super::super::support::SOON;
use super::super::support::site::{LONG, Pair, Site};
use super::upgrades::pair;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_testkit::wait_for_value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// "Hello" in a text frame that is masked, as a client's must be.
const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

async fn client(site: &Site) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(site.http).await.expect("the gate listens");
    let builder = Builder::new(TokioExecutor::new());
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn ask(site: &Site, protocol: Option<&'static str>) -> Request<Empty<Bytes>> {
    let uri = format!("http://{}/chat", site.http);
    let request = Request::builder().method(Method::CONNECT).version(Version::HTTP_2);
    let request = request.header("sec-websocket-version", "13").uri(match protocol {
        Some(_) => uri,
        None => site.http.to_string(),
    });
    let mut request = request.body(Empty::new()).expect("a request");
    if let Some(protocol) = protocol {
        request.extensions_mut().insert(Protocol::from_static(protocol));
    }
    request
}

/// The server says first that it may be asked so (RFC 8441, section 3).
async fn answered(site: &Site) -> (SendRequest<Empty<Bytes>>, Response<Incoming>) {
    wait_for_value("an answer over HTTP/2", SOON, async || {
        let mut client = client(site).await;
        // An answer of the gate's is behind its settings.
        let plain = Request::builder().uri(format!("http://{}/chat", site.http));
        let plain = plain.header("mainstay-probe", "1").method("TRACE").body(Empty::new());
        drop(client.send_request(plain.expect("a request")).await);
        let response = client.send_request(ask(site, Some("websocket"))).await.ok()?;
        Some((client, response))
    })
    .await
}

async fn connect(site: &Site) -> (SendRequest<Empty<Bytes>>, TokioIo<Upgraded>) {
    let (client, response) = answered(site).await;
    assert_eq!(response.status(), StatusCode::OK);
    for none in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!response.headers().contains_key(none), "{none} is of HTTP/1.1");
    }
    let upgraded = hyper::upgrade::on(response).await.expect("it is one");
    (client, TokioIo::new(upgraded))
}

async fn converse(socket: &mut TokioIo<Upgraded>) {
    socket.write_all(&HELLO).await.expect("the gate takes it");
    let mut back = [0; HELLO.len()];
    socket.read_exact(&mut back).await.expect("it comes back");
    assert_eq!(back, HELLO);
    let text: Vec<u8> =
        back[6..].iter().zip(back[2..6].iter().cycle()).map(|(a, b)| a ^ b).collect();
    assert_eq!(text, b"Hello");
}

#[tokio::test]
async fn a_websocket_over_http_2_speaks_to_an_upstream_here_and_through_the_tunnel() {
    let (pair, _echo) = pair().await;
    for site in [&pair.east, &pair.west] {
        let (_client, mut socket) = connect(site).await;
        converse_all(&mut socket).await;
        drop(socket);
        site.report(|report| report.http_in_flight == 0).await;
    }
}

async fn converse_all(socket: &mut TokioIo<Upgraded>) {
    for _ in 0..100 {
        converse(socket).await;
    }
}

#[tokio::test]
async fn it_ends_in_a_switch_as_every_websocket_does_and_its_connection_goes_on() {
    let (pair, _echo) = pair().await;
    let (mut client, mut socket) = connect(&pair.east).await;
    converse(&mut socket).await;
    pair.east.hold(1, LONG).await;
    let ended = tokio::time::timeout(SOON, socket.read(&mut [0; 1])).await.expect("an end");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    pair.east.report(|report| report.drained).await;
    let held = client.send_request(ask(&pair.east, Some("websocket")));
    let led = async {
        pair.east.report(|report| report.http_held == 1).await;
        pair.west.serve(2, LONG).await;
        pair.east.forward(2, "west").await;
    };
    let (answered, ()) = tokio::join!(held, led);
    assert_eq!(answered.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn tunnels_and_other_protocols_are_refused() {
    let pair = Pair::serving(Duration::from_secs(20), [1, 1]).await;
    for protocol in [None, Some("connect-udp")] {
        let mut client = client(&pair.east).await;
        let response = wait_for_value("an answer", SOON, async || {
            client.send_request(ask(&pair.east, protocol)).await.ok()
        });
        assert_eq!(response.await.status(), StatusCode::BAD_REQUEST, "{protocol:?}");
    }
    assert!(pair.record.lock().expect("no panic").is_empty(), "an upstream saw it");
}
