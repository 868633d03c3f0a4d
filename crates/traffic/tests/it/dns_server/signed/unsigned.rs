//! Who gets no signatures, and what a packet holds.

use super::super::{EAST, NAME, Server, ZONE, addresses};
use super::{says, signing};
use mainstay_core::estate::Policy;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_signed_is_given_to_those_who_did_not_ask() {
    let (server, _) = signing(Policy::Failover, EAST).await;
    for question in [&[NAME, "A"], &["no.example.org", "A"], &[NAME, "MX"], &[ZONE, "NS"]] {
        for how in ["+edns", "+noedns"] {
            let said = server.dig(&[&[how], &question[..]].concat());
            assert!(!said.contains("RRSIG") && !said.contains("NSEC"), "{said}");
        }
    }
    // What was asked for by its kind is given.
    says(&server.dig(&[ZONE, "DNSKEY"]), &["DNSKEY 257 3 13", "ANSWER: 1"]);
    says(&server.dig(&[NAME, "RRSIG"]), &["RRSIG NSEC 13 3 30", "ANSWER: 1"]);
    let none = server.dig(&["er.example.org", "RRSIG"]);
    says(&none, &["status: NOERROR", "ANSWER: 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_are_set_as_the_standard_says_and_the_ttl_is_that_of_the_name() {
    let (server, _) = signing(Policy::Failover, EAST).await;
    let said = server.dig(&["+dnssec", "+adflag", "+cdflag", NAME, "A"]);
    says(&said, &["flags: qr aa rd;", "flags: do;", "udp: 1232", "1 IN A", "1 IN RRSIG A 13 3 1 "]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_signatures_make_too_long_is_cut_off_and_asked_for_over_tcp() {
    let many: Vec<String> = (1..=28).map(|last| format!("192.0.2.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (mut server, _) = signing(Policy::Failover, &many).await;
    let small = ["+dnssec", "+bufsize=512", "+ignore", NAME, "A"];
    says(&server.dig(&small), &["flags: qr aa tc", "ANSWER: 0", "flags: do"]);
    says(&server.dig(&["+dnssec", "+bufsize=512", NAME, "A"]), &["ANSWER: 29", "(TCP)"]);
    // Without signatures it fits.
    says(&server.dig(&["+bufsize=512", NAME, "A"]), &["ANSWER: 28", "(UDP)"]);
    // With two keys the servers' addresses, which nobody asked for, do not fit: they go first.
    let first = server.folder.path().join("key");
    let (second, _) = server.new_key("second");
    server.sign_with(&[&first, &second]).await;
    let servers = server.dig(&["+dnssec", "+bufsize=512", "+ignore", ZONE, "NS"]);
    says(&servers, &["flags: qr aa rd;", "ANSWER: 4", "ADDITIONAL: 1"]);
    says(&server.dig(&["+dnssec", ZONE, "NS"]), &["ANSWER: 4", "ADDITIONAL: 7"]);
}

/// The zone is answered as before: a resolver that validates asks the other site's server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_used_ends_no_answers() {
    let mut server = Server::start_with(Policy::Failover, addresses(EAST)).await;
    let (key, _) = server.new_key("key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    server.sign_with(&[&key]).await;
    server.lead(1, "east").await;
    let said = server.dig(&["+dnssec", NAME, "A"]);
    says(&said, &["status: NOERROR", "ANSWER: 1", EAST[0]]);
}

/// Each gets an answer or none, and the next one is answered as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_questions_harm_nobody() {
    let (server, _) = signing(Policy::Failover, EAST).await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let opt = [0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0];
    let ask = |name: &[u8], additional: u8, rest: &[u8]| {
        let header = [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
        [&header[..], name, &[0, 1, 0, 1], rest].concat()
    };
    let exact: &[u8] = b"\x04bank\x07example\x03org\0";
    let mut longest = Vec::new();
    // 255 bytes, the most that a name has (RFC 1035, section 2.3.4), inside the zone.
    for length in [63, 63, 63, 49] {
        longest.push(length);
        longest.extend(std::iter::repeat_n(b'a', usize::from(length)));
    }
    longest.extend(b"\x07example\x03org\0");
    assert_eq!(longest.len(), 255);
    let mut longer = vec![2, b'a', b'a'];
    longer.extend(&longest);
    let code = |question: &[u8]| {
        socket.send_to(question, server.at).expect("it is sent");
        let mut buffer = [0; 4096];
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
        assert!(length <= 1232, "{length} bytes");
        buffer[3] & 15
    };
    assert_eq!(code(&ask(exact, 1, &opt)), 0);
    assert_eq!(code(&ask(&longest, 1, &opt)), 3);
    assert_eq!(code(&ask(&longer, 1, &opt)), 1);
    // One OPT record at most (RFC 6891, section 6.1.1).
    assert_eq!(code(&ask(exact, 2, &[opt, opt].concat())), 1);
    assert_eq!(code(&ask(exact, 100, &opt.repeat(100))), 1);
    assert_eq!(code(&ask(exact, 1, &opt[..7])), 1);
    assert_eq!(code(&ask(exact, 1, &opt)), 0);
}
