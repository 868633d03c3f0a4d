//! What is not right is not believed: a resolver that validates says SERVFAIL.

use super::super::{EAST, NAME, ZONE};
use super::{says, signing};
use mainstay_core::estate::Policy;
use mainstay_testkit::{DnsServer, delv, static_ds};
use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// Hands questions on, and flips the last bit of the signature in answers about addresses: it
/// stands before the OPT record of 11 bytes.
fn flipping(of: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = socket.local_addr().expect("an address");
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Ends with the test's process.
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            server.send_to(&buffer[..length], of).expect("it is sent");
            let length = server.recv(&mut buffer).expect("an answer");
            let kind = buffer[12..].iter().position(|byte| *byte == 0).expect("a name") + 12;
            if buffer[kind + 1..kind + 3] == [0, 1] && buffer[7] > 0 {
                buffer[length - 12] ^= 1;
            }
            socket.send_to(&buffer[..length], from).expect("it is sent");
        }
    });
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_not_believed() {
    let (server, anchor) = signing(Policy::Failover, EAST).await;
    let between = flipping(server.at);
    let resolver = DnsServer::validating(&[(ZONE, between)], &anchor);
    says(&resolver.ask(&[ZONE, "SOA"]), &["status: NOERROR", "flags: qr rd ra ad;"]);
    says(&resolver.ask(&[NAME, "A"]), &["status: SERVFAIL"]);
    says(&resolver.ask(&["+cdflag", NAME, "A"]), &["status: NOERROR", EAST[0]]);
    assert!(!delv(between, &anchor, &[NAME, "A"]).contains("fully validated"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_is_not_believed() {
    let (server, right) = signing(Policy::Failover, EAST).await;
    let (_, other) = server.new_key("other");
    let wrong = static_ds(&other);
    let resolver = DnsServer::validating(&[(ZONE, server.at)], &wrong);
    says(&resolver.ask(&[NAME, "A"]), &["status: SERVFAIL"]);
    says(&resolver.ask(&["no.example.org", "A"]), &["status: SERVFAIL"]);
    assert!(!delv(server.at, &wrong, &[NAME, "A"]).contains("fully validated"));
    assert!(delv(server.at, &right, &[NAME, "A"]).contains("fully validated"));
}

/// Whoever expects a signed zone does not believe one that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_are_missing_are_missed() {
    let (mut server, anchor) = signing(Policy::Failover, EAST).await;
    server.sign_with(&[]).await;
    server.lead(1, "east").await;
    let resolver = DnsServer::validating(&[(ZONE, server.at)], &anchor);
    says(&resolver.ask(&[NAME, "A"]), &["status: SERVFAIL"]);
}
