//! Bodies: bounds on them, and what stands behind them.

use super::super::support::client::{Client, code, get, post};
use super::super::support::site::{LONG, Pair};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_traffic::gate::GateSpec;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn bounded(adjust: impl Fn(&mut GateSpec)) -> Pair {
    let pair = Pair::start_with(Duration::from_secs(20), [1, 1], adjust).await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    pair
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_answered_with_413() {
    let pair = bounded(|spec| spec.limits.body = Some(1000)).await;
    assert_eq!(post(pair.east.http, "/", vec![b'x'; 1000]).await.status(), StatusCode::OK);
    let long = post(pair.east.http, "/", vec![b'x'; 1001]).await;
    assert_eq!(
        (long.status(), code(&long).as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "MS-GATE-030")
    );
    let mut stream = TcpStream::connect(pair.east.http).await.unwrap();
    let head = "POST /chunks HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [b"200\r\n".as_slice(), &[b'x'; 512], b"\r\n"].concat();
    stream.write_all(&[head.as_bytes(), &chunk, &chunk, &chunk].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(pair.record.lock().unwrap().len(), 1, "an upstream took a body that is too long");
}

#[tokio::test]
async fn a_body_that_stands_still_is_answered_with_408_and_other_clients_notice_nothing() {
    let pair = bounded(|spec| spec.limits.body_idle = Duration::from_millis(300)).await;
    let mut stream = TcpStream::connect(pair.east.http).await.unwrap();
    let begun = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    stream.write_all(begun.as_bytes()).await.unwrap();
    assert_eq!(get(pair.east.http, "/").await.status(), StatusCode::OK);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("MS-GATE-031"), "{answer}");
    // The upstreams are not to blame: none is passed over.
    for _ in 0..4 {
        assert_eq!(post(pair.east.http, "/", "x").await.status(), StatusCode::OK);
    }
    for upstream in &pair.east.upstreams {
        assert!(*upstream.entered.borrow() > 0);
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_504() {
    let pair = bounded(|spec| spec.limits.answer_time = Some(Duration::from_millis(300))).await;
    let late = post(pair.east.http, "/slow", "").await;
    assert_eq!((late.status(), code(&late).as_str()), (StatusCode::GATEWAY_TIMEOUT, "MS-GATE-032"));
    assert_eq!(post(pair.east.http, "/", "x").await.status(), StatusCode::OK);
}

/// Answers with what trailers it got, and with one of its own.
async fn with_trailers() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let answer = |request: Request<hyper::body::Incoming>| async move {
        let body = request.into_body().collect().await.expect("a body");
        let got = body.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
        let text = got.map_or_else(String::new, |sum| sum.to_str().expect("text").to_owned());
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "reached".parse().expect("a value"));
        let frames = [Frame::data(Bytes::from(text)), Frame::trailers(trailers)];
        let body = StreamBody::new(futures::stream::iter(frames).map(Ok::<_, Infallible>));
        Ok::<_, Infallible>(
            Response::builder().header("trailer", "x-end").body(body).expect("an answer"),
        )
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

#[tokio::test]
async fn trailers_pass_both_ways_here_and_through_the_tunnel() {
    let upstream = with_trailers().await;
    let pair = bounded(|spec| {
        spec.http.as_mut().unwrap().upstreams = vec![upstream.to_string()];
    })
    .await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\
                   trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n";
    for gate in [pair.east.http, pair.west.http] {
        let mut stream = TcpStream::connect(gate).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\r\n42\r\n"), "{answer}");
        assert!(answer.contains("x-end: reached"), "{answer}");
    }
}

/// What the process holds in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a value")
}

/// Counts what it gets, and keeps nothing of it.
async fn counting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let answer = |request: Request<hyper::body::Incoming>| async move {
        let mut body = request.into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            count += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
        }
        Ok::<_, Infallible>(Response::new(count.to_string()))
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

#[tokio::test]
async fn a_large_upload_passes_in_bounded_memory() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 200;
    let upstream = counting().await;
    let pair = bounded(|spec| {
        spec.http.as_mut().unwrap().upstreams = vec![upstream.to_string()];
    })
    .await;
    assert_eq!(
        Client::connect(pair.east.http).await.send(Request::get("/"), "").await.unwrap().body(),
        "0"
    );
    for gate in [pair.east.http, pair.west.http] {
        let before = resident();
        let mut stream = TcpStream::connect(gate).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            PIECE * PIECES
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'z'; PIECE];
        for _ in 0..PIECES {
            stream.write_all(&piece).await.unwrap();
        }
        let grown = resident().saturating_sub(before);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(&(PIECE * PIECES).to_string()), "{answer}");
        assert!(grown < 20_000, "{grown} KiB more for an upload of 200 MiB");
    }
}
