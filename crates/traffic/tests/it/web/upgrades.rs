//! Connections that go on with another protocol: WebSockets.

use super::super::support::SOON;
use super::super::support::client::raw;
use super::super::support::site::{LONG, Pair, Site};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Version: 13\r\n\r\n";
/// What a server answers to the key of a client (RFC 6455, section 4.2.2).
fn agreed(head: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.expect("a key");
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A process that agrees to every upgrade and then sends back what it gets, at once; its heads.
async fn echo() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                let asked = head.to_ascii_lowercase();
                assert!(asked.contains("connection: upgrade\r\n"), "{head}");
                assert!(asked.contains("upgrade: websocket\r\n"), "{head}");
                assert!(asked.contains("mainstay-epoch: "), "{head}");
                stream.write_all(agreed(&head).as_bytes()).await.expect("the other end takes it");
                let (mut reader, mut writer) = stream.split();
                // Ends when the gate ends it.
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    (address, task)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the rest of a head"));
    }
    String::from_utf8(head).expect("text")
}

/// Both gates lead to the echo at east.
pub async fn pair() -> (Pair, JoinHandle<()>) {
    let (address, task) = echo().await;
    let pair = Pair::start_with(Duration::from_secs(20), [1, 1], |spec| {
        spec.http.as_mut().expect("there").upstreams = vec![address.to_string()];
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    (pair, task)
}

async fn connect(site: &Site) -> TcpStream {
    let mut stream = TcpStream::connect(site.http).await.expect("the gate listens");
    stream.write_all(ASK).await.expect("the other end takes it");
    let answer = head(&mut stream).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
    stream
}

/// Bytes that are no HTTP, and more than fit into buffers on the way.
async fn converse(stream: &mut TcpStream) {
    let bytes: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251) as u8).collect();
    let (mut reader, mut writer) = stream.split();
    let mut back = vec![0; bytes.len()];
    let (sent, read) = tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut back));
    sent.expect("the gate takes it");
    read.expect("all comes back");
    assert!(back == bytes);
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_here_and_through_the_tunnel() {
    let (pair, _echo) = pair().await;
    for site in [&pair.east, &pair.west] {
        let mut stream = connect(site).await;
        converse(&mut stream).await;
        converse(&mut stream).await;
        drop(stream);
        site.report(|report| report.http_in_flight == 0).await;
    }
}

#[tokio::test]
async fn it_ends_in_a_switch_and_the_next_one_is_held_and_led_to_the_new_site() {
    let (pair, _echo) = pair().await;
    let mut open = [connect(&pair.east).await, connect(&pair.west).await];
    open.iter_mut().for_each(|stream| stream.set_nodelay(true).unwrap());
    pair.east.hold(1, LONG).await;
    for stream in &mut open {
        let ended = tokio::time::timeout(SOON, stream.read(&mut [0; 1])).await.expect("an end");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    pair.east.report(|report| report.drained).await;
    let mut held = TcpStream::connect(pair.east.http).await.unwrap();
    held.write_all(ASK).await.unwrap();
    pair.east.report(|report| report.http_held == 1).await;
    pair.west.serve(2, LONG).await;
    pair.east.forward(2, "west").await;
    assert!(head(&mut held).await.starts_with("HTTP/1.1 101"));
    converse(&mut held).await;
}

#[tokio::test]
async fn it_is_cut_when_the_gate_closes() {
    let (pair, _echo) = pair().await;
    let mut open = [connect(&pair.east).await, connect(&pair.west).await];
    pair.east.close(1).await;
    for stream in &mut open {
        let ended = tokio::time::timeout(SOON, stream.read(&mut [0; 1])).await.expect("an end");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    pair.east.report(|report| report.http_in_flight == 0).await;
}

#[tokio::test]
async fn an_upgrade_that_the_upstream_does_not_know_is_an_ordinary_request() {
    let pair = Pair::serving(Duration::from_secs(20), [1, 1]).await;
    for upgrade in ["websocket", "h2c"] {
        let ask = format!(
            "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: {upgrade}\r\n\r\n"
        );
        let answer = raw(pair.east.http, ask.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    let seen = pair.record.lock().unwrap();
    let upgrades: Vec<_> = seen.iter().map(|seen| seen.headers.contains_key("upgrade")).collect();
    assert_eq!(upgrades, [true, false], "HTTP/2 by an upgrade would go round the gate's checks");
}
