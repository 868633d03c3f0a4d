//! What only Azure DNS has: sets that are changed one after the other, tokens, and resource groups.

use super::{EAST, Holder, PATIENCE, WEST, on_each, text, told, url, wanted};
use mainstay_core::Secret;
use mainstay_core::estate::{Azure, AzureAccess, DnsKind, DnsZone};
use mainstay_testkit::{FakeAzureDns, free_port, wait_for_value};
use mainstay_traffic::dns::{DnsError, Published, Publisher};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

const NOTE: &str = "TXT/_mainstay.bank";

fn spec(fake: &FakeAzureDns, access: AzureAccess) -> Azure {
    Azure {
        subscription: FakeAzureDns::SUBSCRIPTION.to_owned(),
        resource_group: FakeAzureDns::GROUP.to_owned(),
        endpoint: url(&fake.url()),
        access,
    }
}

fn client(fake: &FakeAzureDns, secret: &str) -> AzureAccess {
    AzureAccess::Client {
        login: url(&fake.url()),
        tenant: FakeAzureDns::TENANT.to_owned(),
        id: FakeAzureDns::CLIENT.to_owned(),
        secret: Some(Secret::new(secret)),
    }
}

fn machine(fake: &FakeAzureDns, client: &str) -> AzureAccess {
    AzureAccess::Machine { metadata: url(&fake.url()), client: Some(client.to_owned()) }
}

fn publisher(zone: &str, spec: Azure, servers: Vec<String>) -> Publisher {
    let kind = DnsKind::Azure(spec);
    Publisher::new(&DnsZone { zone: zone.to_owned(), kind, servers, resolvers: Vec::new() })
}

fn with(fake: &FakeAzureDns, access: AzureAccess) -> Publisher {
    publisher("example.org", spec(fake, access), vec![format!("127.0.0.1:{}", free_port())])
}

fn set(fake: &FakeAzureDns, path: &str) -> Value {
    serde_json::from_str(&fake.set(path)).expect("JSON")
}

/// Of its records what that key has; of a set that is not there, nothing.
fn records(fake: &FakeAzureDns, path: &str, list: &str, key: &str) -> Vec<String> {
    let set = set(fake, path);
    let records = set["properties"][list].as_array().cloned().unwrap_or_default();
    let texts = records.iter().map(|record| match &record[key] {
        Value::String(text) => text.clone(),
        other => other[0].as_str().expect("text").to_owned(),
    });
    texts.collect()
}

impl Holder for FakeAzureDns {
    fn publisher(&self) -> Publisher {
        self.publisher_with(Self::SECRET)
    }

    fn publisher_with(&self, secret: &str) -> Publisher {
        with(self, client(self, secret))
    }

    fn answer(&self, mode: &str) {
        FakeAzureDns::answer(self, mode);
    }

    fn addresses(&self) -> Vec<String> {
        let mut found = records(self, "A/bank", "ARecords", "ipv4Address");
        found.extend(records(self, "AAAA/bank", "AAAARecords", "ipv6Address"));
        found.sort();
        found
    }

    fn notes(&self) -> Vec<String> {
        let texts = records(self, NOTE, "TXTRecords", "value");
        texts.iter().map(|text| format!("\"{text}\"")).collect()
    }

    fn overtake(&self, note: &str, address: &str) {
        let note = json!([{ "value": [note.trim_matches('"')] }]);
        put(self, NOTE, &json!({ "TTL": 60, "TXTRecords": note }));
        put_address(self, address);
    }
}

fn put(fake: &FakeAzureDns, path: &str, properties: &Value) {
    let done = fake.put(path, &json!({ "properties": properties }).to_string());
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!(done["properties"]["provisioningState"], "Succeeded", "{done}");
}

fn put_address(fake: &FakeAzureDns, address: &str) {
    put(fake, "A/bank", &json!({ "TTL": 60, "ARecords": [{ "ipv4Address": address }] }));
}

on_each!(mainstay_testkit::FakeAzureDns::start());

/// The newer epoch's own agent publishes between the older one's look and its change.
async fn overtaken(
    fake: &FakeAzureDns,
    late: &[&str],
    newer: &[&str],
) -> Result<Published, DnsError> {
    let meanwhile = || {
        let newer = wanted(2, "west", newer);
        let done = block_in_place(|| Handle::current().block_on(told(fake, &newer)));
        assert_eq!(done, Ok(Published::Changed));
        true
    };
    fake.publisher().publish(&wanted(1, "east", late), meanwhile).await
}

/// Its note is right, so that it would begin with the addresses at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_epoch_that_only_puts_addresses_right_is_refused_all_the_same() {
    let fake = FakeAzureDns::start();
    told(&fake, &wanted(1, "east", EAST)).await.expect("it is taken");
    // What the newer epoch is going to answer stands there already: only its metadata tell.
    put_address(&fake, WEST[0]);
    let late = overtaken(&fake, EAST, &WEST[..1]).await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(fake.addresses(), WEST[..1]);
    assert_eq!(fake.notes(), [text(2, "west")]);
}

/// There is no etag of a set that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_epoch_adds_no_kind_of_address_that_the_newer_one_has_not() {
    let fake = FakeAzureDns::start();
    let both = ["192.0.2.10", "2001:db8::10"];
    told(&fake, &wanted(1, "east", &both)).await.expect("it is taken");
    fake.delete("AAAA/bank");
    let late = overtaken(&fake, &both, &WEST[..1]).await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(fake.addresses(), WEST[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_publications_at_once_one_is_refused() {
    let fake = FakeAzureDns::start();
    let late = overtaken(&fake, EAST, WEST).await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(fake.addresses(), WEST);
    assert_eq!(fake.notes(), [text(2, "west")]);
}

/// The note is first, so that what is in the middle is nobody's of before.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_ended_in_the_middle_is_gone_on_with() {
    let fake = FakeAzureDns::start();
    told(&fake, &wanted(1, "east", EAST)).await.expect("it is taken");
    fake.answer("no-address");
    let ended = told(&fake, &wanted(2, "west", WEST)).await;
    assert!(matches!(ended, Err(DnsError::ApiSilent { .. })), "{ended:?}");
    assert_eq!(fake.notes(), [text(2, "west")]);
    assert_eq!(fake.addresses(), EAST);
    fake.answer("ok");
    let older = told(&fake, &wanted(1, "east", EAST)).await;
    assert!(matches!(older, Err(DnsError::Stale { .. })), "{older:?}");
    assert_eq!(told(&fake, &wanted(2, "west", WEST)).await, Ok(Published::Changed));
    assert_eq!(fake.addresses(), WEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_made_and_not_answered_is_looked_at_again() {
    let fake = FakeAzureDns::start();
    told(&fake, &wanted(1, "east", EAST)).await.expect("it is taken");
    fake.answer("lost");
    // One of its three sets each time.
    for _ in 0..3 {
        let lost = told(&fake, &wanted(2, "west", WEST)).await;
        assert!(matches!(lost, Err(DnsError::ApiSilent { .. })), "{lost:?}");
    }
    assert_eq!(told(&fake, &wanted(2, "west", WEST)).await, Ok(Published::AsItWas));
    assert_eq!(fake.addresses(), WEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_never_answers_with_nothing() {
    let fake = FakeAzureDns::start();
    told(&fake, &wanted(1, "east", EAST)).await.expect("it is taken");
    let begun = fake.changes().len();
    told(&fake, &wanted(2, "west", &WEST[1..])).await.expect("it is taken");
    assert_eq!(fake.addresses(), WEST[1..]);
    told(&fake, &wanted(3, "east", EAST)).await.expect("it is taken");
    assert_eq!(fake.addresses(), EAST);
    let changes: Vec<Value> = fake.changes()[begun..]
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let done: Vec<&str> = changes.iter().map(|it| it["change"].as_str().expect("text")).collect();
    let note = "PUT TXT _mainstay.bank";
    assert_eq!(done, [note, "PUT AAAA bank", "PUT A bank", note, "PUT A bank", "PUT AAAA bank"]);
    assert!(changes.iter().all(|it| it["addresses"] != 0), "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zones_own_name_is_published_too() {
    let fake = FakeAzureDns::start();
    let mut apex = wanted(1, "east", &EAST[..1]);
    apex.name = "example.org".to_owned();
    assert_eq!(told(&fake, &apex).await, Ok(Published::Changed));
    assert_eq!(records(&fake, "A/@", "ARecords", "ipv4Address"), EAST[..1]);
    let note = records(&fake, "TXT/_mainstay", "TXTRecords", "value");
    assert_eq!(note, [apex.note.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cname_is_left_as_it_is_and_metadata_of_others_stay() {
    let fake = FakeAzureDns::start();
    let target = json!({ "TTL": 60, "CNAMERecord": { "cname": "other.example.org" } });
    put(&fake, "CNAME/bank", &target);
    let refused = told(&fake, &wanted(1, "east", EAST)).await;
    assert!(matches!(refused, Err(DnsError::InTheWay { .. })), "{refused:?}");
    assert_eq!(fake.notes(), [""; 0]);
    fake.delete("CNAME/bank");
    let owned = json!({ "TTL": 60, "metadata": { "owner": "web" },
        "targetResource": { "id": "/subscriptions/1/an-address" } });
    put(&fake, "A/bank", &owned);
    assert_eq!(told(&fake, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(fake.addresses(), EAST);
    let properties = &set(&fake, "A/bank")["properties"];
    assert_eq!(properties["metadata"]["owner"], "web");
    assert_eq!(properties["targetResource"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_until_shortly_before_its_end() {
    let fake = FakeAzureDns::start();
    let publisher = fake.publisher();
    for epoch in 1..=2 {
        let done = publisher.publish(&wanted(epoch, "east", EAST), || true).await;
        assert_eq!(done, Ok(Published::Changed));
    }
    assert_eq!(fake.tokens_given().len(), 1);
    fake.tokens_last(20);
    let publisher = fake.publisher();
    // None ends while it is used: it would be refused.
    wait_for_value("another token", PATIENCE, async || {
        let done = publisher.publish(&wanted(2, "east", EAST), || true).await;
        assert_eq!(done, Ok(Published::AsItWas));
        (fake.tokens_given().len() == 3).then_some(())
    })
    .await;
}

/// It was given for an hour, and the API takes it no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_replaced() {
    let fake = FakeAzureDns::start();
    let publisher =
        publisher("example.org", spec(&fake, client(&fake, FakeAzureDns::SECRET)), Vec::new());
    publisher.servers().await.expect("the zone is there");
    fake.tokens_end();
    let ended = publisher.publish(&wanted(1, "east", EAST), || true).await;
    let Err(why @ DnsError::ApiRefused { .. }) = ended else { panic!("{ended:?}") };
    assert!(!why.to_string().contains("canary"), "{why}");
    let done = publisher.publish(&wanted(1, "east", EAST), || true).await;
    assert_eq!(done, Ok(Published::Changed));
    assert_eq!(fake.tokens_given().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_identity_may_publish() {
    let fake = FakeAzureDns::start();
    let known = with(&fake, machine(&fake, FakeAzureDns::MACHINE));
    let done = known.publish(&wanted(1, "east", EAST), || true).await;
    assert_eq!(done, Ok(Published::Changed));
    assert_eq!(fake.tokens_given(), ["\"machine\""]);
    let unknown = with(&fake, machine(&fake, FakeAzureDns::CLIENT));
    let refused = unknown.publish(&wanted(2, "west", WEST), || true).await;
    assert!(matches!(refused, Err(DnsError::Credentials { .. })), "{refused:?}");
    assert_eq!(fake.addresses(), EAST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_the_zones_servers_are_those_of_its_delegation() {
    let fake = FakeAzureDns::start();
    let spec = spec(&fake, client(&fake, FakeAzureDns::SECRET));
    let servers = publisher("example.org", spec.clone(), Vec::new()).servers().await;
    let told = ["ns1-07.azure-dns.com:53", "ns2-07.azure-dns.net:53"].map(str::to_owned);
    assert_eq!(servers, Ok(told.to_vec()));
    let group = Azure { resource_group: "other".to_owned(), ..spec.clone() };
    for (zone, spec, why) in
        [("example.net", spec, "ResourceNotFound"), ("example.org", group, "ResourceGroupNotFound")]
    {
        let at = publisher(zone, spec, Vec::new());
        let missing = at.publish(&wanted(1, "east", EAST), || true).await;
        let Err(DnsError::NoZone { why: told, .. }) = missing else { panic!("{missing:?}") };
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_costs_no_change() {
    let fake = FakeAzureDns::start();
    told(&fake, &wanted(1, "east", EAST)).await.expect("it is taken");
    let before = fake.changes();
    assert_eq!(told(&fake, &wanted(1, "east", EAST)).await, Ok(Published::AsItWas));
    assert_eq!(fake.changes(), before);
}
