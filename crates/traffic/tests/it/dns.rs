//! Published names on Knot, BIND and PowerDNS. What stands there is what `dig` says.

use mainstay_core::estate::{DnsKind as How, DnsZone, TsigAlgorithm, TsigKey};
use mainstay_core::{ApplicationName, Epoch, Secret, SiteName};
use mainstay_testkit::{DNS_KEY, DNS_SECRET, DNS_ZONE, DnsKind, DnsServer};
use mainstay_traffic::dns::{DnsError, Note, Published, Publisher, Wanted, look};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const NAME: &str = "bank.example.org";
const NOTE: &str = "_mainstay.bank.example.org";
const EAST: &[&str] = &["192.0.2.10", "192.0.2.11"];
const WEST: &[&str] = &["198.51.100.20", "2001:db8::20"];

fn zone(server: &DnsServer, secret: &str) -> DnsZone {
    let key = TsigKey {
        name: DNS_KEY.to_owned(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Some(Secret::new(secret)),
    };
    DnsZone {
        zone: DNS_ZONE.to_owned(),
        kind: How::Rfc2136 { key: Some(key) },
        servers: vec![server.address()],
        resolvers: Vec::new(),
    }
}

fn wanted(epoch: u64, site: &str, addresses: &[&str]) -> Wanted {
    let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().expect("an address"));
    Wanted {
        name: NAME.to_owned(),
        ttl: Duration::from_secs(30),
        addresses: addresses.collect(),
        any: false,
        shares: Vec::new(),
        note: Note {
            application: ApplicationName::new("bank").expect("a name"),
            epoch: Epoch::new(epoch),
            site: SiteName::new(site).expect("a name"),
        },
        signed: false,
    }
}

fn text(epoch: u64, site: &str) -> String {
    format!("\"v=mainstay1 application=bank epoch={epoch} site={site}\"")
}

async fn told(server: &DnsServer, wanted: &Wanted) -> Result<Published, DnsError> {
    Publisher::new(&zone(server, DNS_SECRET)).publish(wanted, || true).await
}

async fn a_name_follows_the_active_site(kind: DnsKind) {
    let server = DnsServer::start(kind);
    assert_eq!(told(&server, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(server.dig(NAME, "A"), EAST);
    assert_eq!(server.dig(NOTE, "TXT"), [text(1, "east")]);
    assert_eq!(told(&server, &wanted(1, "east", EAST)).await, Ok(Published::AsItWas));
    assert_eq!(told(&server, &wanted(2, "west", WEST)).await, Ok(Published::Changed));
    assert_eq!(server.dig(NAME, "A"), WEST[..1]);
    assert_eq!(server.dig(NAME, "AAAA"), WEST[1..]);
    assert_eq!(server.dig(NOTE, "TXT"), [text(2, "west")]);
    let seen = look(&server.address(), NAME).await.expect("the server answers");
    assert!(seen.is(&wanted(2, "west", WEST)), "{seen:?}");
    assert_eq!(server.dig("other.example.org", "A"), ["192.0.2.99"]);
}

async fn nothing_stale_is_written(kind: DnsKind) {
    let server = DnsServer::start(kind);
    told(&server, &wanted(7, "west", WEST)).await.expect("the server takes it");
    let before = server.dig(DNS_ZONE, "SOA");
    let stale = told(&server, &wanted(6, "east", EAST)).await;
    assert!(matches!(stale, Err(DnsError::Stale { .. })), "{stale:?}");
    let disputed = told(&server, &wanted(7, "east", EAST)).await;
    assert!(matches!(disputed, Err(DnsError::Stale { .. })), "{disputed:?}");
    let inactive = Publisher::new(&zone(&server, DNS_SECRET))
        .publish(&wanted(8, "east", EAST), || false)
        .await;
    assert!(matches!(inactive, Err(DnsError::NotActive { .. })), "{inactive:?}");
    assert_eq!(server.dig(DNS_ZONE, "SOA"), before);
    assert_eq!(server.dig(NAME, "A"), WEST[..1]);
}

/// The other one writes between this one's look and its change.
async fn of_two_at_once_the_newer_epoch_stays(kind: DnsKind) {
    let server = DnsServer::start(kind);
    told(&server, &wanted(1, "east", EAST)).await.expect("the server takes it");
    let newer = text(3, "west");
    let meanwhile = || {
        server.nsupdate(&[
            &format!("update delete {NOTE} TXT"),
            &format!("update add {NOTE} 30 TXT {newer}"),
            &format!("update delete {NAME} A"),
            &format!("update add {NAME} 30 A {}", WEST[0]),
        ]);
        true
    };
    let late = Publisher::new(&zone(&server, DNS_SECRET))
        .publish(&wanted(2, "east", EAST), meanwhile)
        .await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(server.dig(NAME, "A"), WEST[..1]);
    assert_eq!(server.dig(NOTE, "TXT"), [newer]);
    let first = DnsServer::start(kind);
    let made = || {
        first.nsupdate(&[&format!("update add {NOTE} 30 TXT {}", text(3, "west"))]);
        true
    };
    let late =
        Publisher::new(&zone(&first, DNS_SECRET)).publish(&wanted(2, "east", EAST), made).await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(first.dig(NAME, "A"), [""; 0]);
}

async fn what_is_not_ours_is_left_alone(kind: DnsKind) {
    let server = DnsServer::start(kind);
    server.nsupdate(&[&format!("update add {NOTE} 30 TXT \"v=spf1 -all\"")]);
    let unreadable = told(&server, &wanted(1, "east", EAST)).await;
    assert!(matches!(unreadable, Err(DnsError::Unreadable { .. })), "{unreadable:?}");
    let shop = "\"v=mainstay1 application=shop epoch=1 site=east\"";
    server.nsupdate(&[
        &format!("update delete {NOTE} TXT"),
        &format!("update add {NOTE} 30 TXT {shop}"),
    ]);
    let foreign = told(&server, &wanted(2, "east", EAST)).await;
    assert!(matches!(foreign, Err(DnsError::Foreign { .. })), "{foreign:?}");
    assert_eq!(server.dig(NAME, "A"), [""; 0]);
}

/// What stood there before Mainstay came, and what a person did since, is put right; other kinds of
/// records at the same name are not its business.
async fn what_stands_there_otherwise_becomes_what_is_wanted(kind: DnsKind) {
    let server = DnsServer::start(kind);
    server.nsupdate(&[&format!("update add {NAME} 300 CNAME other.example.org.")]);
    told(&server, &wanted(1, "east", EAST)).await.expect("the server takes it");
    assert_eq!(server.dig(NAME, "A"), EAST);
    server.nsupdate(&[
        &format!("update delete {NAME} A {}", EAST[0]),
        &format!("update add {NAME} 300 MX 10 other.example.org."),
    ]);
    assert_eq!(told(&server, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(server.dig(NAME, "A"), EAST);
    assert_eq!(server.dig(NAME, "MX"), ["10 other.example.org."]);
}

async fn who_has_not_the_key_changes_nothing(kind: DnsKind) {
    let server = DnsServer::start(kind);
    let wrong = zone(&server, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=");
    let unsigned = DnsZone { kind: How::Rfc2136 { key: None }, ..wrong.clone() };
    for zone in [wrong, unsigned] {
        let refused = Publisher::new(&zone).publish(&wanted(1, "east", EAST), || true).await;
        let Err(DnsError::Refused { .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!(server.dig(NAME, "A"), [""; 0]);
    }
    let not_base64 =
        Publisher::new(&zone(&server, "no?")).publish(&wanted(1, "east", EAST), || true).await;
    let Err(DnsError::Key { .. }) = &not_base64 else { panic!("{not_base64:?}") };
    assert!(!not_base64.expect_err("it is refused").to_string().contains("no?"));
}

/// A change that was sent and not answered may have been made: then it is found as wanted.
async fn a_server_that_hangs_or_is_gone_is_told_and_tried_again(kind: DnsKind) {
    let mut server = DnsServer::start(kind);
    told(&server, &wanted(1, "east", EAST)).await.expect("the server takes it");
    server.pause();
    let began = Instant::now();
    let hangs = told(&server, &wanted(2, "west", WEST)).await;
    assert!(matches!(hangs, Err(DnsError::Silent { .. })), "{hangs:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    server.resume();
    server.kill9();
    let gone = told(&server, &wanted(2, "west", WEST)).await;
    assert!(matches!(gone, Err(DnsError::Silent { .. })), "{gone:?}");
    server.start_again();
    told(&server, &wanted(2, "west", WEST)).await.expect("the server takes it");
    assert_eq!(server.dig(NAME, "A"), WEST[..1]);
    server.kill9();
    server.start_again();
    assert_eq!(server.dig(NOTE, "TXT"), [text(2, "west")]);
}

macro_rules! on {
    ($kind:ident $server:ident: $($case:ident)+) => {
        mod $server {
            use mainstay_testkit::DnsKind;
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(DnsKind::$kind).await;
                }
            )+
        }
    };
}

macro_rules! on_each {
    ($($case:ident)+) => {
        on!(Knot knot: $($case)+);
        on!(Bind bind: $($case)+);
        on!(PowerDns powerdns: $($case)+);
    };
}

on_each! {
    a_name_follows_the_active_site
    nothing_stale_is_written
    of_two_at_once_the_newer_epoch_stays
    what_is_not_ours_is_left_alone
    what_stands_there_otherwise_becomes_what_is_wanted
    who_has_not_the_key_changes_nothing
    a_server_that_hangs_or_is_gone_is_told_and_tried_again
}
