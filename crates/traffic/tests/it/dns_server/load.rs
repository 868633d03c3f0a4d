//! Switches while clients ask without a pause. The clients speak DNS by hand, and judge an answer by
//! what had been told when it was asked and when it came.

use super::{NAME, NOTE, Server, WEST, active};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// The answer's bytes after the header, or nothing when none came.
fn ask(socket: &UdpSocket, name: &str, kind: u8, number: u16) -> Option<Vec<u8>> {
    let mut question = number.to_be_bytes().to_vec();
    question.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("short"));
        question.extend(label.bytes());
    }
    question.extend([0, 0, kind, 0, 1]);
    socket.send(&question).expect("it is sent");
    let mut buffer = [0; 512];
    loop {
        let length = socket.recv(&mut buffer).ok()?;
        let answer = &buffer[..length];
        if answer[..2] == number.to_be_bytes() {
            assert_eq!((answer[3] & 15, answer[7]), (0, 1), "no good answer: {answer:?}");
            return Some(answer[12..].to_vec());
        }
    }
}

fn epoch(answer: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (_, after) = text.split_once("epoch=").expect("a note");
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().expect("a number");
    digits.parse().expect("a number")
}

#[derive(Default)]
struct Truth {
    /// The newest epoch that a client saw answered.
    answered: AtomicU64,
    /// The newest epoch that the server was told.
    told: AtomicU64,
    done: AtomicBool,
}

/// Odd epochs are west's. Returns how many questions were answered.
fn client(at: SocketAddr, truth: &Truth) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(at).expect("an address");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut answered = 0;
    while !truth.done.load(SeqCst) {
        let number = (answered % 60_000) as u16;
        let least = truth.answered.load(SeqCst);
        let note = ask(&socket, NOTE, 16, number).expect("an answer");
        let first = epoch(&note);
        assert!(first >= least, "epoch {first} after {least}");
        assert!(first <= truth.told.load(SeqCst), "epoch {first} was not told yet");
        let answer = ask(&socket, NAME, 1, number + 1).expect("an answer");
        let most = truth.told.load(SeqCst);
        let west: std::net::Ipv4Addr = WEST[0].parse().expect("an address");
        let at_west = answer.ends_with(&west.octets());
        assert!(at_west || answer.ends_with(&[192, 0, 2, 10]), "a strange answer: {answer:?}");
        if first == most {
            assert_eq!(at_west, first % 2 == 1, "a wrong answer in epoch {first}");
        }
        truth.answered.fetch_max(first, SeqCst);
        answered += 2;
    }
    answered
}

async fn no_answer_is_wrong(switches: u64) {
    let server = Server::start().await;
    server.lead(1, "west").await;
    let truth = Arc::new(Truth::default());
    truth.told.store(1, SeqCst);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (truth, at) = (truth.clone(), server.at);
            std::thread::spawn(move || client(at, &truth))
        })
        .collect();
    let driver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    driver.connect(server.at).expect("an address");
    driver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    for number in 2..=switches + 1 {
        truth.told.store(number, SeqCst);
        let site = if number % 2 == 1 { "west" } else { "east" };
        server.active.send_replace(Some(active(number, site)));
        while epoch(&ask(&driver, NOTE, 16, 1).expect("an answer")) < number {
            tokio::task::yield_now().await;
        }
    }
    truth.done.store(true, SeqCst);
    let answered: u64 = clients.into_iter().map(|it| it.join().expect("no wrong answer")).sum();
    println!("{switches} switches, {answered} answers, none wrong");
    assert!(answered > 10 * switches, "only {answered} answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_wrong_during_switches_under_load() {
    no_answer_is_wrong(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_no_answer_is_wrong_during_a_thousand_switches_under_load() {
    no_answer_is_wrong(1000).await;
}
