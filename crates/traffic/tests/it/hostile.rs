//! Clients of a store that mean harm, or are broken: bounded, and nobody else is hurt.

use super::postgres::connect;
use super::support::SOON;
use super::support::site::{LONG, Pair};
use mainstay_testkit::{Options, Postgres, wait_for};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOLD: Duration = Duration::from_secs(20);
/// Silent ones that the gates below bear, and how many come.
const BORNE: usize = 50;
const COME: usize = 400;

async fn serving(server: &Postgres) -> Pair {
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        spec.limits.starting = BORNE;
        // As many places as come: without more places for those that speak they would starve.
        spec.limits.connections = COME;
        spec.limits.head_time = Duration::from_secs(60);
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair
}

async fn answers(server: &Postgres, gate: SocketAddr) {
    let client = tokio::time::timeout(SOON, connect(server, gate))
        .await
        .expect("in time")
        .expect("the gate serves");
    client.batch_execute("SELECT 1").await.expect("the gate serves");
}

#[tokio::test]
async fn silent_connections_and_half_start_ups_keep_nobody_out() {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = serving(&server).await;
    let mut silent = Vec::new();
    for number in 0..COME {
        let mut stream = TcpStream::connect(pair.east.db).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[0, 0, 0, 16, 0, 3]).await.unwrap();
        }
        silent.push(stream);
        if number % 100 == 99 {
            answers(&server, pair.east.db).await;
        }
    }
    // The newest may stay, the others were ended.
    let mut ended = 0;
    for mut stream in silent {
        let read = tokio::time::timeout(Duration::from_millis(10), stream.read(&mut [0; 1])).await;
        ended += usize::from(read.is_ok());
    }
    assert!((COME - BORNE - 10..=COME).contains(&ended), "{ended} of {COME} were ended");
}

#[tokio::test]
async fn a_start_up_that_drips_in_is_ended_when_its_time_is_over() {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        spec.limits.head_time = Duration::from_millis(500);
    })
    .await;
    pair.east.serve(1, LONG).await;
    let began = Instant::now();
    let (mut reader, mut writer) = TcpStream::connect(pair.east.db).await.unwrap().into_split();
    let drip = tokio::spawn(async move {
        // A start-up of 2,000 bytes that would take a hundred seconds.
        let mut packet = vec![0, 0, 7, 208, 0, 3, 0, 0];
        packet.resize(2000, b'x');
        for byte in packet {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            // Time itself is the subject: a client that sends slowly.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let _ = reader.read(&mut [0; 1]).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    drip.abort();
    answers(&server, pair.east.db).await;
}

#[tokio::test]
async fn impossible_start_ups_are_refused_at_once_and_cost_no_memory() {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = serving(&server).await;
    for length in [0u32, 7, 10_001, 0x7fff_ffff, u32::MAX] {
        let mut stream = TcpStream::connect(pair.east.db).await.unwrap();
        let packet = [&length.to_be_bytes()[..], &[0, 3, 0, 0]].concat();
        stream.write_all(&packet).await.unwrap();
        let read = tokio::time::timeout(SOON, stream.read(&mut [0; 1])).await;
        assert!(matches!(read.expect("at once"), Ok(0) | Err(_)), "{length}");
    }
    answers(&server, pair.east.db).await;
}

#[tokio::test]
async fn the_kernel_asks_after_a_client_that_is_silent() {
    let pair = Pair::start(HOLD, [1, 1]).await;
    let stream = TcpStream::connect(pair.east.db).await.unwrap();
    let client = stream.local_addr().unwrap().port();
    let ends = format!("0100007F:{:04X} 0100007F:{client:04X}", pair.east.db.port());
    wait_for("a timer of keepalive at the gate's end", SOON, async || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let line = table.lines().find(|line| line.contains(&ends));
        // proc(5): the timer that runs; 2 is the one of keepalive.
        let timer = line.and_then(|line| line.split_whitespace().nth(5));
        timer.is_some_and(|timer| timer.starts_with("02:"))
    })
    .await;
}
