//! What only Route 53 has: sets of records with weights and health checks, and its own servers.

use super::{EAST, Holder, NAME, WEST, on_each, text, told, url, wanted};
use mainstay_core::estate::{AwsAccess, AwsKey, DnsKind, DnsZone, Route53};
use mainstay_core::{Secret, SiteName};
use mainstay_testkit::{Route53Server, free_port};
use mainstay_traffic::dns::{Published, Publisher, Share};
use serde_json::{Value, json};

const NOTE: &str = "_mainstay.bank.example.org.";

fn spec(server: &Route53Server, secret: &str) -> Route53 {
    Route53 {
        zone_id: None,
        region: "us-east-1".to_owned(),
        endpoint: url(&server.url()),
        access: AwsAccess::Key(Some(AwsKey {
            id: Secret::new(Route53Server::KEY),
            secret: Secret::new(secret),
            session: None,
        })),
    }
}

fn zone(server: &Route53Server, secret: &str, servers: Vec<String>) -> Publisher {
    Publisher::new(&DnsZone {
        zone: "example.org".to_owned(),
        kind: DnsKind::Route53(spec(server, secret)),
        servers,
        resolvers: Vec::new(),
    })
}

fn sets(server: &Route53Server) -> Vec<Value> {
    serde_json::from_str(&server.sets()).expect("JSON")
}

fn values(server: &Route53Server, note: bool) -> Vec<String> {
    let sets = sets(server);
    let sets = sets.iter().filter(|set| (set["Name"] == NOTE) == note);
    let records = sets.flat_map(|set| set["ResourceRecords"].as_array().expect("a list"));
    let values = records.map(|record| record["Value"].as_str().expect("text").to_owned());
    let mut values: Vec<String> = values.collect();
    values.sort();
    values
}

impl Holder for Route53Server {
    fn publisher(&self) -> Publisher {
        self.publisher_with(Self::SECRET)
    }

    fn publisher_with(&self, secret: &str) -> Publisher {
        zone(self, secret, vec![format!("127.0.0.1:{}", free_port())])
    }

    fn answer(&self, mode: &str) {
        Route53Server::answer(self, mode);
    }

    fn addresses(&self) -> Vec<String> {
        values(self, false)
    }

    fn notes(&self) -> Vec<String> {
        values(self, true)
    }

    fn overtake(&self, note: &str, address: &str) {
        let upsert = |name: &str, kind: &str, value: &str| {
            json!({ "Action": "UPSERT", "ResourceRecordSet": { "Name": name, "Type": kind,
                "TTL": 60, "ResourceRecords": [{ "Value": value }] } })
        };
        let changes = json!([upsert(NOTE, "TXT", note), upsert(NAME, "A", address)]);
        self.change(&changes.to_string());
    }
}

on_each!(mainstay_testkit::Route53Server::start());

#[tokio::test(flavor = "multi_thread")]
async fn the_zones_servers_are_those_of_its_delegation() {
    let server = Route53Server::start();
    let told: Vec<String> = serde_json::from_str(server.name_servers()).expect("JSON");
    let found = zone(&server, Route53Server::SECRET, Vec::new()).servers().await;
    let told: Vec<String> = told.iter().map(|name| format!("{name}:53")).collect();
    assert_eq!(found, Ok(told));
}

/// What a person changed, and an older kind of record, is replaced in one batch, exactly as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_otherwise_becomes_what_is_wanted() {
    let server = Route53Server::start();
    let cname = json!([{ "Action": "CREATE", "ResourceRecordSet": { "Name": NAME, "Type": "CNAME",
        "TTL": 300, "ResourceRecords": [{ "Value": "other.example.org." }] } }]);
    server.change(&cname.to_string());
    assert_eq!(told(&server, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(server.addresses(), EAST);
    server.overtake(&text(1, "east"), "203.0.113.1");
    assert_eq!(told(&server, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(server.addresses(), EAST);
    assert_eq!(server.notes(), [text(1, "east")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sites_share_has_its_weight_and_its_health_check() {
    let server = Route53Server::start();
    told(&server, &wanted(1, "east", EAST)).await.expect("it is taken");
    let share = |site: &str, addresses: &[&str], weight| Share {
        site: SiteName::new(site).expect("a name"),
        addresses: addresses.iter().map(|it| it.parse().expect("an address")).collect(),
        weight,
        health_check: Some(format!("check-of-{site}")),
    };
    let all: Vec<&str> = EAST.iter().chain(WEST).copied().collect();
    let mut spread = wanted(2, "west", &all);
    spread.any = true;
    spread.shares = vec![share("east", EAST, 0), share("west", &WEST[..1], 1)];
    assert_eq!(told(&server, &spread).await, Ok(Published::Changed));
    assert_eq!(told(&server, &spread).await, Ok(Published::AsItWas));
    let sets = sets(&server);
    let mut seen: Vec<String> = sets
        .iter()
        .filter(|set| set["Name"] != NOTE)
        .map(|set| {
            let (id, weight) = (&set["SetIdentifier"], &set["Weight"]);
            format!("{} {id} {weight} {}", set["Type"], set["HealthCheckId"])
        })
        .collect();
    seen.sort();
    let one =
        |site: &str, weight| format!("\"A\" \"mainstay-{site}\" {weight} \"check-of-{site}\"");
    assert_eq!(seen, [one("east", 0), one("west", 1)]);
    assert_eq!(server.addresses(), ["192.0.2.10", "192.0.2.11", "198.51.100.20"]);
    assert_eq!(told(&server, &wanted(3, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(server.addresses(), EAST);
}

/// An API that holds still is not asked to change anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_costs_no_change() {
    let server = Route53Server::start();
    told(&server, &wanted(1, "east", EAST)).await.expect("it is taken");
    let before = server.changes_asked();
    told(&server, &wanted(1, "east", EAST)).await.expect("it is right");
    assert_eq!(server.changes_asked(), before);
}
