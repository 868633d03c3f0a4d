//! A signed zone (DNSSEC). What is believed comes from BIND: `delv`, and a resolver that validates.

mod bogus;
mod rollover;
mod unsigned;

use super::questions::says;
use super::{EAST, NAME, NOTE, Server, WEST, ZONE, addresses};
use crate::support::site::site_name;
use mainstay_core::estate::{Network, Policy};
use mainstay_testkit::{DnsServer, delv, static_ds, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

/// A server that signs with one new key, and that key as an anchor.
async fn signing(policy: Policy, east: &[&str]) -> (Server, String) {
    let mut server = Server::start_with(policy, addresses(east)).await;
    let (key, ds) = server.new_key("key");
    server.sign_with(&[&key]).await;
    server.lead(1, "east").await;
    (server, static_ds(&ds))
}

#[track_caller]
fn secure(server: &Server, anchor: &str, question: &[&str], parts: &[&str]) {
    let said = delv(server.at, anchor, question);
    says(&said, &["fully validated"]);
    says(&said, parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_a_signed_zone_is_validated_by_others() {
    let (server, anchor) = signing(Policy::Failover, EAST).await;
    let secure = |question: &[&str], parts: &[&str]| secure(&server, &anchor, question, parts);
    secure(&[NAME, "A"], &["bank.example.org. 1 IN A 192.0.2.10", "RRSIG A 13 3 1"]);
    secure(&["BaNk.ExAmPle.ORG", "AAAA"], &["2001:db8::10"]);
    secure(&[NOTE, "TXT"], &["epoch=1 site=east"]);
    // Names that stand for another one, also the zone's own.
    secure(&["deep.er.example.org", "A"], &["192.0.2.10"]);
    secure(&[ZONE, "A"], &["192.0.2.10"]);
    secure(&[ZONE, "SOA"], &["ns1.example.org. hostmaster.example.org."]);
    secure(&[ZONE, "NS"], &["IN NS ns1.example.org.", "IN NS ns2.example.org."]);
    secure(&[ZONE, "DNSKEY"], &["DNSKEY 257 3 13"]);
    secure(&["ns1.example.org", "A"], &["127.0.0.1"]);
    secure(&[NAME, "NSEC"], &["NSEC _mainstay.bank.example.org. A AAAA RRSIG NSEC"]);
    secure(&["+tcp", NAME, "ANY"], &["HINFO \"RFC8482\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_proved() {
    let (server, anchor) = signing(Policy::Failover, EAST).await;
    let no_kind = ["negative response", "ncache nxrrset"];
    for (name, kind) in [
        (NAME, "MX"),
        (NAME, "TYPE65280"),
        (NAME, "DS"),
        (NAME, "DNSKEY"),
        (NOTE, "A"),
        (ZONE, "MX"),
        // Only names below it.
        ("er.example.org", "A"),
        ("er.example.org", "TXT"),
        ("ns1.example.org", "AAAA"),
    ] {
        secure(&server, &anchor, &[name, kind], &no_kind);
    }
    // The child never answers for its parent, which alone has the DS record.
    let ds = server.dig(&["+dnssec", ZONE, "DS"]);
    says(&ds, &["flags: qr aa rd;", "ANSWER: 0", "NSEC _mainstay.example.org.", "RRSIG NSEC"]);
    assert!(!ds.contains("\tDS\t"), "{ds}");
    for name in [
        "no.example.org",
        "a.example.org",
        "zzz.example.org",
        "no.bank.example.org",
        "no.er.example.org",
        "no._mainstay.bank.example.org",
        "*.example.org",
        "*.bank.example.org",
        "a.very.deep.name.example.org",
        "\\000.example.org",
        "\\255.example.org",
        "_.bank.example.org",
    ] {
        secure(&server, &anchor, &[name, "A"], &["negative response", "ncache nxdomain"]);
    }
    // West has no address of IPv6: then there is none, and soon there is again.
    server.lead(2, "west").await;
    secure(&server, &anchor, &[NAME, "AAAA"], &no_kind);
    secure(&server, &anchor, &[NAME, "MX"], &no_kind);
    server.lead(3, "east").await;
    secure(&server, &anchor, &[NAME, "AAAA"], &["2001:db8::10"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_by_weight_and_by_network_are_validated() {
    let weights = [(site_name("east"), 1), (site_name("west"), 1)];
    let (server, anchor) = signing(Policy::Weighted(weights.into()), EAST).await;
    let answers: Vec<String> = (0..30).map(|_| delv(server.at, &anchor, &[NAME, "A"])).collect();
    assert!(answers.iter().all(|answer| answer.contains("; fully validated")), "{answers:?}");
    for address in [EAST[0], WEST[0]] {
        assert!(answers.iter().any(|answer| answer.contains(address)), "{answers:?}");
    }
    // Whoever has no address of IPv6 says so, signed, and the other one has.
    let both: Vec<String> = (0..30).map(|_| delv(server.at, &anchor, &[NAME, "AAAA"])).collect();
    assert!(both.iter().all(|answer| answer.contains("fully validated")), "{both:?}");
    assert!(both.iter().any(|answer| answer.contains(EAST[1])), "{both:?}");
    assert!(both.iter().any(|answer| answer.contains("negative response")), "{both:?}");

    let network = |text| vec![Network::parse(text).expect("a network")];
    let networks = [(site_name("west"), network("127.0.0.0/8"))];
    let (server, anchor) = signing(Policy::Nearest(networks.into()), EAST).await;
    secure(&server, &anchor, &[NAME, "A"], &[WEST[0]]);
    let resolver = DnsServer::validating(&[(ZONE, server.at)], &anchor);
    says(&resolver.ask(&[NAME, "A"]), &["status: NOERROR", "qr rd ra ad", WEST[0]]);
}

/// A resolver keeps what it has for the TTL, then follows, and what it says is secure all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_followed_by_a_resolver_that_validates() {
    let (server, anchor) = signing(Policy::Failover, EAST).await;
    let resolver = DnsServer::validating(&[(ZONE, server.at)], &anchor);
    for (epoch, site, address) in [(2, "west", WEST[0]), (3, "east", EAST[0]), (4, "west", WEST[0])]
    {
        server.lead(epoch, site).await;
        secure(&server, &anchor, &[NAME, "A"], &[address]);
        wait_for("the resolver follows", LONG, async || {
            let said = resolver.ask(&[NAME, "A"]);
            says(&said, &["status: NOERROR", "flags: qr rd ra ad;"]);
            said.contains(address)
        })
        .await;
    }
    for (name, kind, code) in [
        ("no.example.org", "A", "NXDOMAIN"),
        (NAME, "MX", "NOERROR"),
        ("er.example.org", "A", "NOERROR"),
    ] {
        let status = format!("status: {code}");
        says(&resolver.ask(&[name, kind]), &[&status, "flags: qr rd ra ad;", "ANSWER: 0"]);
    }
}
