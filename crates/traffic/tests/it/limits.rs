//! Clients that ask for too much get their answer, and the others notice nothing.

use super::support::client::{Client, code, get, post, raw};
use super::support::site::{LONG, Pair};
use http::{Request, StatusCode};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOLD: Duration = Duration::from_secs(20);

/// East serves, with short times and small numbers.
async fn strict() -> Pair {
    let pair = Pair::start_with(HOLD, [1, 1], |spec| {
        spec.limits.head_time = Duration::from_millis(500);
        spec.limits.held = 5;
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair
}

#[tokio::test]
async fn slow_clients_are_closed_and_others_are_served_meanwhile() {
    let pair = strict().await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for gate in [pair.east.http, pair.east.db] {
        for _ in 0..100 {
            let mut stream = TcpStream::connect(gate).await.unwrap();
            stream.write_all(b"GET /never HT").await.unwrap();
            slow.push(stream);
        }
    }
    for _ in 0..20 {
        assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    }
    for mut stream in slow {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_drop_of_bytes_now_and_then_does_not_keep_a_slow_client_alive() {
    let pair = strict().await;
    let mut stream = TcpStream::connect(pair.east.http).await.unwrap();
    let began = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        while writer.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = drip => {}
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_slow_head() {
    let pair = strict().await;
    let mut client = Client::connect(pair.east.http).await;
    for _ in 0..2 {
        assert_eq!(client.send(Request::get("/"), "").await.unwrap().status(), StatusCode::OK);
        // Longer than the time for a head: a connection at rest is not a slow client.
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    assert_eq!(client.send(Request::get("/"), "").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn huge_heads_are_refused_and_others_are_served() {
    let pair = strict().await;
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(1000));
    for request in [long, many] {
        let answer = raw(pair.east.http, request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    }
    assert!(pair.record.lock().unwrap().iter().all(|seen| !seen.headers.contains_key("x")));
}

#[tokio::test]
async fn more_held_requests_than_allowed_are_refused_at_once_and_the_held_ones_are_answered() {
    let pair = strict().await;
    pair.east.hold(1, LONG).await;
    let held: Vec<_> =
        (0..5).map(|id| tokio::spawn(post(pair.east.http, "/", id.to_string()))).collect();
    pair.east.report(|report| report.http_held == 5).await;
    for _ in 0..3 {
        let response = post(pair.east.http, "/", "one too many").await;
        assert_eq!(code(&response), "MS-GATE-011");
        assert_eq!(response.headers()["retry-after"], "1");
    }
    pair.east.serve(1, LONG).await;
    for request in held {
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(pair.record.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_held_request_does_not_have_its_body_read() {
    let pair = strict().await;
    pair.east.hold(1, LONG).await;
    let mut stream = TcpStream::connect(pair.east.http).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'z'; 1 << 16];
    let mut sent = 0usize;
    // The sockets' buffers fill up, and then nothing moves.
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), stream.write(&piece)).await
    {
        sent += written.unwrap();
    }
    assert!(sent < 20_000_000, "the gate took {sent} bytes of a held request");
}

#[tokio::test]
async fn start_ups_beyond_the_limit_are_told_too_many_connections() {
    let pair = strict().await;
    pair.east.hold(1, LONG).await;
    let startup = [&[0, 0, 0, 16, 0, 3, 0, 0][..], b"user\0a\0\0"].concat();
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(pair.east.db).await.unwrap();
        stream.write_all(&startup).await.unwrap();
        held.push(stream);
    }
    let mut answers = Vec::new();
    while answers.is_empty() {
        let mut stream = TcpStream::connect(pair.east.db).await.unwrap();
        stream.write_all(&startup).await.unwrap();
        let read = stream.read_to_end(&mut answers);
        let _ = tokio::time::timeout(Duration::from_millis(500), read).await;
        held.push(stream);
        assert!(held.len() < 20, "nobody was refused");
    }
    assert!(answers.windows(5).any(|five| five == b"53300"), "{answers:?}");
}
