//! What HTTP/2 could carry into HTTP/1.1: fields that end a message there, or begin another. The
//! cases are those of "HTTP/2: The Sequel is Always Worse" (Kettle 2021) and of RFC 9113, sections
//! 8.2 and 8.3. Frames and fields are written by hand, because no honest client sends them.

use super::super::support::site::{LONG, Pair};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short enough").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields, neither indexed nor compressed (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text =
        |text: &str| [&[u8::try_from(text.len()).expect("short enough")], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

const GOOD: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/outer"), (":authority", "a")];

/// Its name, its fields and its body.
type Case = (&'static str, Vec<(&'static str, String)>, &'static [u8]);

/// One request, as good as the others but for what is said, and what comes back for a while.
async fn ask(address: SocketAddr, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the gate listens");
    let end = if body.is_empty() { END_STREAM } else { 0 };
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block(fields)));
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    stream.write_all(&bytes).await.expect("the other end takes it");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn nothing_that_ends_a_message_in_http_1_comes_out_of_http_2() {
    let pair = Pair::start(Duration::from_secs(20), [1, 1]).await;
    pair.east.serve(1, LONG).await;
    let hidden = "x\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a";
    let path = format!("/outer HTTP/1.1\r\nHost: a\r\n\r\nGET {hidden}");
    let replaced = |name: &'static str, value: &str| {
        let value = value.to_owned();
        move || GOOD.map(|(key, good)| (key, if key == name { value.clone() } else { good.into() }))
    };
    let added = |name: &'static str, value: &str| {
        let value = value.to_owned();
        move || -> Vec<(&'static str, String)> {
            let good = GOOD.iter().map(|(key, good)| (*key, (*good).to_owned()));
            good.chain([(name, value.clone())]).collect()
        }
    };
    let cases: Vec<Case> = vec![
        ("transfer-encoding", added("transfer-encoding", "chunked")(), b"0\r\n\r\n"),
        ("connection", added("connection", "close")(), b""),
        ("upgrade", added("upgrade", "websocket")(), b""),
        ("keep-alive", added("keep-alive", "timeout=5")(), b""),
        ("proxy-connection", added("proxy-connection", "close")(), b""),
        ("a length of 0 and a body", added("content-length", "0")(), hidden.as_bytes()),
        ("a length longer than the body", added("content-length", "99")(), b"x"),
        ("a line end in a value", added("x", hidden)(), b""),
        ("a line end in a name", added("x: y\r\nz", "1")(), b""),
        ("a colon in a name", added("transfer-encoding: chunked\r\nx", "1")(), b""),
        ("a capital in a name", added("Transfer-Encoding", "chunked")(), b""),
        ("a space in a name", added("transfer-encoding ", "chunked")(), b""),
        ("a line end in the path", replaced(":path", &path)().to_vec(), b""),
        ("a line end in the method", replaced(":method", &path)().to_vec(), b""),
        ("a line end in the authority", replaced(":authority", hidden)().to_vec(), b""),
        ("another Host than the authority", added("host", "b")(), b""),
        ("no path", replaced(":path", "")().to_vec(), b""),
    ];
    for (name, fields, body) in cases {
        let fields: Vec<_> = fields.iter().map(|(key, value)| (*key, value.as_str())).collect();
        ask(pair.east.http, &fields, body).await;
        let seen = pair.record.lock().unwrap();
        assert!(seen.is_empty(), "{name}: {seen:?}");
    }
    // And the way to ask is right.
    ask(pair.east.http, &GOOD, b"hello").await;
    let seen = pair.record.lock().unwrap();
    assert_eq!(seen.iter().map(|seen| &seen.body[..]).collect::<Vec<_>>(), [b"hello"]);
}
