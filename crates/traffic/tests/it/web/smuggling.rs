//! Requests that two servers could read in two ways: refused with 400, the connection closed, and
//! nothing hidden behind them reaches an upstream. The cases are those of the public lists (Linhart
//! 2005; Kettle's "HTTP Desync Attacks"; RFC 9112, section 11.2).

use super::super::support::client::raw;
use super::super::support::site::{LONG, Pair};
use std::time::Duration;

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// Each with a second request hidden where a lenient reader would find one.
fn cases() -> Vec<(&'static str, String)> {
    let post = |fields: &str, body: &str| {
        format!("POST /outer HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{HIDDEN}")
    };
    let get = |fields: &str| format!("GET /outer HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{HIDDEN}");
    let te = |value: &str| post(&format!("{value}\r\nContent-Length: 5"), "0\r\n\r\n");
    let only_te = |value: &str| post(value, "0\r\n\r\n");
    let length = HIDDEN.len();
    vec![
        ("CL.TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n")),
        ("CL.TE of nothing", post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        ("xchunked", te("Transfer-Encoding: xchunked")),
        ("chunked, identity", only_te("Transfer-Encoding: chunked, identity")),
        ("identity, chunked", only_te("Transfer-Encoding: identity, chunked")),
        ("chunked twice", only_te("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("x, then chunked", only_te("Transfer-Encoding: x\r\nTransfer-Encoding: chunked")),
        ("chunked, then x", only_te("Transfer-Encoding: chunked\r\nTransfer-Encoding: x")),
        ("space before the colon", te("Transfer-Encoding : chunked")),
        ("tab before the colon", te("Transfer-Encoding\t: chunked")),
        ("a vertical tab", te("Transfer-Encoding: \u{b}chunked")),
        ("quotes", te("Transfer-Encoding: \"chunked\"")),
        ("a folded line", te("Transfer-Encoding:\r\n chunked")),
        ("a folded line after another", te("X: y\r\n Transfer-Encoding: chunked")),
        ("a space first", get(" Content-Length: 5")),
        ("a bare CR", te("X: y\rTransfer-Encoding: chunked")),
        ("a bare LF", te("X: y\nTransfer-Encoding: chunked")),
        ("bare LFs", format!("GET /outer HTTP/1.1\nHost: a\n\n{HIDDEN}")),
        ("a bare LF at the end", format!("GET /outer HTTP/1.1\r\nHost: a\r\n\n{HIDDEN}")),
        ("a NUL", te("Transfer-Encoding: chunked\0")),
        ("a line without a colon", get("Transfer-Encoding chunked")),
        ("no name", get(": chunked")),
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 5", "hello")),
        ("the same length twice", post("Content-Length: 5\r\nContent-Length: 5", "hello")),
        ("a list of lengths", post("Content-Length: 5, 5", "hello")),
        ("a signed length", post("Content-Length: +5", "hello")),
        ("a negative length", post("Content-Length: -5", "hello")),
        ("a length in hexadecimal", post("Content-Length: 0x5", "hello")),
        ("a length beyond counting", post("Content-Length: 99999999999999999999", "hello")),
        ("an empty length", post("Content-Length: ", "hello")),
        (
            "chunks in HTTP/1.0",
            only_te("Transfer-Encoding: chunked")
                .replace("1.1\r\nHost: a\r\nT", "1.0\r\nHost: a\r\nT"),
        ),
        ("a chunk of +5", post("Transfer-Encoding: chunked", "+5\r\nhello\r\n0\r\n\r\n")),
        ("a chunk of 0x5", post("Transfer-Encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n")),
        ("a chunk beyond counting", post("Transfer-Encoding: chunked", "fffffffffffffffff0\r\nx")),
        ("a chunk longer than said", post("Transfer-Encoding: chunked", "3\r\nhello\r\n0\r\n\r\n")),
        ("a bare LF after a chunk", post("Transfer-Encoding: chunked", "5\r\nhello\n0\r\n\r\n")),
        ("a bare LF after a size", post("Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n")),
        (
            "a bare LF in an extension",
            post("Transfer-Encoding: chunked", &format!("2;\nxx\r\n{length:x}\r\n0\r\n\r\n")),
        ),
        ("a trailer without a colon", post("Transfer-Encoding: chunked", "0\r\nx\r\n\r\n")),
        ("two Hosts", get("Host: b")),
        (
            "another Host than in the line",
            format!("GET http://b/outer HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"),
        ),
        ("no Host", format!("GET /outer HTTP/1.1\r\nX: a\r\n\r\n{HIDDEN}")),
        ("a list of Hosts", format!("GET /outer HTTP/1.1\r\nHost: a, b\r\n\r\n{HIDDEN}")),
        ("a tunnel", format!("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n{HIDDEN}")),
        ("a space in the path", format!("GET /outer /x HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}")),
    ]
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_hides_nothing() {
    let pair = Pair::start(Duration::from_secs(20), [1, 1]).await;
    pair.east.serve(1, LONG).await;
    for (name, request) in cases() {
        let answer = raw(pair.east.http, request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{name}: {answer:?}");
    }
    let seen = pair.record.lock().unwrap();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert!(paths.is_empty(), "{paths:?}");
}

#[tokio::test]
async fn what_reads_in_one_way_only_passes_one_after_the_other() {
    let pair = Pair::start(Duration::from_secs(20), [1, 1]).await;
    pair.east.serve(1, LONG).await;
    let chunked = "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n";
    let sized = "POST /sized HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = raw(pair.east.http, [chunked, sized, chunked, last].concat().as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 4, "{answer}");
    let seen = pair.record.lock().unwrap();
    let asked: Vec<_> = seen.iter().map(|seen| (seen.path.as_str(), &seen.body[..])).collect();
    let expected: [(&str, &[u8]); 4] =
        [("/chunked", b"hello"), ("/sized", b"hello"), ("/chunked", b"hello"), ("/last", b"")];
    assert_eq!(asked, expected);
}
