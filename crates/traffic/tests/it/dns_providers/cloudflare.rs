//! What only Cloudflare has: ids, pages, and proxied records.

use super::{EAST, Holder, NAME, WEST, on_each, text, told, url, wanted};
use mainstay_core::Secret;
use mainstay_core::estate::{Cloudflare, DnsKind, DnsZone};
use mainstay_testkit::{FakeCloudflare, free_port};
use mainstay_traffic::dns::{DnsError, Published, Publisher};
use serde_json::{Value, json};

const NOTE: &str = "_mainstay.bank.example.org";

fn records(fake: &FakeCloudflare, name: &str) -> Vec<Value> {
    let page: Value = serde_json::from_str(&fake.records(name)).expect("JSON");
    page["result"].as_array().expect("a list").clone()
}

fn contents(fake: &FakeCloudflare, name: &str) -> Vec<String> {
    let mut found: Vec<String> = records(fake, name)
        .iter()
        .map(|record| record["content"].as_str().expect("text").to_owned())
        .collect();
    found.sort();
    found
}

impl Holder for FakeCloudflare {
    fn publisher(&self) -> Publisher {
        self.publisher_with(Self::TOKEN)
    }

    fn publisher_with(&self, secret: &str) -> Publisher {
        let token = Some(Secret::new(secret));
        let spec = Cloudflare { zone_id: None, token, endpoint: url(&self.url()) };
        Publisher::new(&DnsZone {
            zone: "example.org".to_owned(),
            kind: DnsKind::Cloudflare(spec),
            servers: vec![format!("127.0.0.1:{}", free_port())],
            resolvers: Vec::new(),
        })
    }

    fn answer(&self, mode: &str) {
        FakeCloudflare::answer(self, mode);
    }

    fn addresses(&self) -> Vec<String> {
        contents(self, NAME)
    }

    fn notes(&self) -> Vec<String> {
        contents(self, NOTE)
    }

    fn overtake(&self, note: &str, address: &str) {
        let old = records(self, NAME).into_iter().chain(records(self, NOTE));
        let deletes: Vec<Value> = old.map(|record| json!({ "id": record["id"] })).collect();
        let body = json!({ "deletes": deletes, "posts": [
            { "type": "TXT", "name": NOTE, "ttl": 60, "content": note },
            { "type": "A", "name": NAME, "ttl": 60, "content": address },
        ] });
        let done: Value = serde_json::from_str(&self.batch(&body.to_string())).expect("JSON");
        assert_eq!(done["success"], true, "{done}");
    }
}

on_each!(mainstay_testkit::FakeCloudflare::start());

/// Nothing can be named where nothing stands: the newest note counts, and the rest is removed.
#[tokio::test(flavor = "multi_thread")]
async fn two_first_publications_at_once_end_with_the_newer_epoch() {
    let fake = FakeCloudflare::start();
    let meanwhile = || {
        fake.overtake(&text(2, "west"), WEST[0]);
        true
    };
    let both = fake.publisher().publish(&wanted(1, "east", EAST), meanwhile).await;
    assert_eq!(both, Ok(Published::Changed));
    assert_eq!(fake.notes(), [text(1, "east"), text(2, "west")]);
    let older = told(&fake, &wanted(1, "east", EAST)).await;
    assert!(matches!(older, Err(DnsError::Stale { .. })), "{older:?}");
    assert_eq!(told(&fake, &wanted(2, "west", WEST)).await, Ok(Published::Changed));
    assert_eq!(fake.notes(), [text(2, "west")]);
    assert_eq!(fake.addresses(), WEST);
}

/// The fake's pages have five records.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_what_stands_there_is_replaced() {
    let fake = FakeCloudflare::start();
    let many: Vec<String> = (1..=12).map(|last| format!("192.0.2.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    told(&fake, &wanted(1, "east", &many)).await.expect("it is taken");
    told(&fake, &wanted(2, "west", WEST)).await.expect("it is taken");
    assert_eq!(fake.addresses(), WEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_name_is_left_as_it_is() {
    let fake = FakeCloudflare::start();
    let record = json!({ "type": "A", "name": NAME, "ttl": 60, "content": "203.0.113.1",
        "proxied": true });
    fake.batch(&json!({ "posts": [record] }).to_string());
    let refused = told(&fake, &wanted(1, "east", EAST)).await;
    assert!(matches!(refused, Err(DnsError::InTheWay { .. })), "{refused:?}");
    assert_eq!(fake.addresses(), ["203.0.113.1"]);
}
