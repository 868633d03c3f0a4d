//! What each kind of question is answered with.

use super::{EAST, NAME, NOTE, Server, WEST, ZONE, active, addresses};
use crate::support::site::site_name;
use mainstay_core::estate::{Network, Policy};
use mainstay_testkit::{DnsServer, wait_for};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

#[track_caller]
pub(super) fn says(answer: &str, parts: &[&str]) {
    for part in parts {
        let part = part.replace(' ', "");
        let plain = answer.replace([' ', '\t'], "");
        assert!(plain.contains(&part), "{part:?} is not in:\n{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_answers_with_the_active_site_and_its_epoch() {
    let server = Server::start().await;
    server.lead(7, "east").await;
    assert_eq!(server.short(NAME, "A"), EAST[..1]);
    assert_eq!(server.short(NAME, "AAAA"), EAST[1..]);
    assert_eq!(server.short(NOTE, "TXT"), ["\"v=mainstay1 application=bank epoch=7 site=east\""]);
    // The zone's own name too, beside its SOA and NS records.
    assert_eq!(server.short(ZONE, "A"), EAST[..1]);
    assert_eq!(server.short(ZONE, "NS"), ["ns1.example.org.", "ns2.example.org."]);
    assert_eq!(server.short("ns1.example.org", "A"), ["127.0.0.1"]);
    server.lead(8, "west").await;
    assert_eq!(server.short(NAME, "A"), WEST);
    let soa = "ns1.example.org. hostmaster.example.org. 9 3600 900 86400 30";
    assert_eq!(server.short(ZONE, "SOA"), [soa]);
    says(
        &server.dig(&[NAME, "A"]),
        &["status: NOERROR", "flags: qr aa rd;", "1 IN A 198.51.100.20"],
    );
    says(&server.dig(&["+tcp", NAME, "A"]), &["198.51.100.20", "(TCP)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_so_that_resolvers_keep_it_and_no_longer_than_they_should() {
    let server = Server::start().await;
    server.lead(1, "west").await;
    let soa = "example.org. 30 IN SOA";
    says(&server.dig(&["no.example.org", "A"]), &["status: NXDOMAIN", soa, "ANSWER: 0"]);
    says(&server.dig(&["no.bank.example.org", "A"]), &["status: NXDOMAIN", soa]);
    for (name, kind) in
        [(NAME, "AAAA"), (NAME, "MX"), (NAME, "TYPE65280"), ("er.example.org", "A"), (NOTE, "A")]
    {
        says(&server.dig(&[name, kind]), &["status: NOERROR", "ANSWER: 0", soa, "flags: qr aa"]);
    }
    let any = server.dig(&["+notcp", NAME, "ANY"]);
    says(&any, &["ANSWER: 1", "HINFO \"RFC8482\" \"\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_is_not_there_for_is_refused() {
    let server = Server::start().await;
    server.lead(1, "west").await;
    for arguments in [["www.example.com", "A"], [".", "NS"], ["org", "NS"]] {
        says(&server.dig(&arguments), &["status: REFUSED", "ANSWER: 0", "AUTHORITY: 0"]);
    }
    says(&server.dig(&[ZONE, "AXFR"]), &["Transfer failed"]);
    says(&server.dig(&["+tcp", ZONE, "IXFR=1"]), &["Transfer failed"]);
    says(&server.dig(&["-c", "CH", "version.bind", "TXT"]), &["status: REFUSED"]);
    says(&server.dig(&["+opcode=notify", NAME, "A"]), &["status: NOTIMP"]);
    says(&server.dig(&["+edns=1", "+noednsnegotiation", NAME, "A"]), &["status: BADVERS"]);
    let key = "hmac-sha256:nobody:bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCdzIGtleSE=";
    says(&server.dig(&["-y", key, NAME, "A"]), &["status: NOTAUTH"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_come_back_as_they_were_asked_and_edns_is_spoken() {
    let server = Server::start().await;
    server.lead(1, "west").await;
    let odd = server.dig(&["BaNk.eXaMpLe.OrG", "A"]);
    says(&odd, &["BaNk.eXaMpLe.OrG. 1 IN A 198.51.100.20", "EDNS: version: 0", "udp: 1232"]);
    says(&server.dig(&["+dnssec", NAME, "A"]), &["flags: do"]);
    assert!(!server.dig(&["+noedns", NAME, "A"]).contains("EDNS"));
    says(&server.dig(&["+ednsopt=65001:aa", "+cookie", NAME, "A"]), &["198.51.100.20"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_a_packet_is_asked_for_again_over_tcp() {
    let many: Vec<String> = (1..=100).map(|last| format!("192.0.2.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let server = Server::start_with(Policy::Failover, addresses(&many)).await;
    server.lead(1, "east").await;
    let cut = server.dig(&["+ignore", NAME, "A"]);
    says(&cut, &["flags: qr aa tc", "ANSWER: 0"]);
    says(&server.dig(&[NAME, "A"]), &["ANSWER: 100", "(TCP)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_to_the_site_of_their_network_or_by_weight() {
    let network = |text| vec![Network::parse(text).expect("a network")];
    let networks = [(site_name("west"), network("10.9.0.0/16"))];
    let server = Server::start_with(Policy::Nearest(networks.into()), addresses(EAST)).await;
    server.lead(1, "east").await;
    let near = server.dig(&["+subnet=10.9.8.0/24", NAME, "A"]);
    says(&near, &["198.51.100.20", "CLIENT-SUBNET: 10.9.8.0/24/24"]);
    let far = server.dig(&["+subnet=10.8.8.0/24", NAME, "A"]);
    says(&far, &["192.0.2.10", "CLIENT-SUBNET: 10.8.8.0/24/24"]);
    says(&server.dig(&["+subnet=0/0", NAME, "A"]), &["192.0.2.10", "CLIENT-SUBNET: 0.0.0.0/0/0"]);
    let away = BTreeSet::from([site_name("west")]);
    server.active.send_replace(Some(super::Active { away, ..active(1, "east") }));
    wait_for("a site that is away is left out", Duration::from_secs(60), async || {
        server.dig(&["+subnet=10.9.8.0/24", NAME, "A"]).contains("192.0.2.10")
    })
    .await;

    let weights = [(site_name("east"), 1), (site_name("west"), 1)];
    let server = Server::start_with(Policy::Weighted(weights.into()), addresses(EAST)).await;
    server.lead(1, "east").await;
    let answers: Vec<_> = (0..40).map(|_| server.short(NAME, "A")).collect();
    for site in [&EAST[..1], WEST] {
        assert!(answers.iter().any(|answer| answer == site), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_passes_it_on_and_follows_after_the_ttl() {
    let server = Server::start().await;
    server.lead(1, "east").await;
    let resolver = DnsServer::resolver(server.at);
    assert_eq!(resolver.dig(NAME, "A"), EAST[..1]);
    assert_eq!(resolver.dig("no.example.org", "A"), [""; 0]);
    server.lead(2, "west").await;
    wait_for("the resolver follows", Duration::from_secs(60), async || {
        resolver.dig(NAME, "A") == WEST
    })
    .await;
}

/// Neither an answer nor a few bytes are worth one; a broken question is told so. Then the next is
/// answered as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_questions_harm_nobody() {
    let server = Server::start().await;
    server.lead(1, "west").await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let header = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let loops = [&header[..], &[0xc0, 12, 0, 1, 0, 1]].concat();
    let answer = [&[9, 9, 0x81, 0][..], &header[4..]].concat();
    for bytes in [&answer[..], &header[..5], &[]] {
        socket.send_to(bytes, server.at).expect("it is sent");
    }
    socket.send_to(&loops, server.at).expect("it is sent");
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
    // FORMERR to the last, and nothing to the others, which were sent before.
    assert_eq!(buffer[..4], [7, 7, 0x80, 1], "{:?}", &buffer[..length]);
    assert_eq!(server.short(NAME, "A"), WEST);
}
