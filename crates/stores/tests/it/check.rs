//! The check names each thing that Mainstay cannot work with, before anything is touched.

use crate::sites::Site;
use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use mainstay_core::{Finding, Secret, Severity, SiteName};
use mainstay_stores::postgres::check;
use mainstay_testkit::{Options, Postgres};
use std::collections::BTreeMap;

const PLACE: &str = "applications.bank.stores.db";
const GOOD: &str = "CREATE ROLE bank LOGIN; CREATE TABLE account (id int PRIMARY KEY, v text)";

fn store(sites: &[(&str, PostgresEndpoint)], roles: &[&str]) -> PostgresStore {
    let named = |(name, endpoint): &(&str, PostgresEndpoint)| {
        (SiteName::new(*name).unwrap(), endpoint.clone())
    };
    PostgresStore {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        salvage: BTreeMap::new(),
        endpoints: sites.iter().map(named).collect(),
    }
}

async fn found(sites: &[(&str, PostgresEndpoint)], roles: &[&str]) -> Vec<Finding> {
    let store = store(sites, roles);
    tokio::spawn(async move { check::findings(PLACE, &store).await }).await.unwrap()
}

/// Codes and the site where each was found, errors first marked.
fn codes(findings: &[Finding]) -> Vec<String> {
    let one = |finding: &Finding| {
        let site = finding.place.rsplit('.').next().unwrap();
        let mark = if finding.severity == Severity::Error { "!" } else { "" };
        format!("{mark}{} {site}", finding.code)
    };
    let mut codes: Vec<_> = findings.iter().map(one).collect();
    codes.sort();
    codes
}

#[tokio::test]
async fn two_good_sites_give_no_finding() {
    let (east, west) = tokio::join!(Site::start(GOOD), Site::start(GOOD));
    let sites = [("east", east.endpoint.clone()), ("west", west.endpoint.clone())];
    assert_eq!(found(&sites, &["bank"]).await, []);
}

#[tokio::test]
async fn each_thing_that_is_wrong_in_a_database_is_named_with_its_site() {
    let (east, west) = tokio::join!(Site::start(GOOD), Site::start(""));
    east.run(
        "CREATE TABLE keyless (v text); CREATE TABLE full_rows (v text);
         ALTER TABLE full_rows REPLICA IDENTITY FULL;
         CREATE TABLE by_index (v text UNIQUE NOT NULL);
         ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_v_key;
         CREATE TABLE nothing (v int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
         CREATE UNLOGGED TABLE fleeting (v int PRIMARY KEY);
         SELECT lo_create(0);
         CREATE ROLE root SUPERUSER; CREATE ROLE climber LOGIN IN ROLE root;
         CREATE ROLE writer LOGIN; GRANT INSERT ON account TO writer;
         CREATE ROLE reader LOGIN; GRANT SELECT ON account TO reader",
    )
    .await;
    east.run("ALTER SYSTEM SET event_triggers = off").await;
    east.run("SELECT pg_reload_conf()").await;
    let roles = ["bank", "root", "climber", "mainstay"];
    let sites = [("east", east.endpoint.clone()), ("west", west.endpoint.clone())];
    let found = found(&sites, &roles).await;
    let expected = [
        "!MS-PG-111 east", // root
        "!MS-PG-111 east", // climber
        "!MS-PG-111 east", // mainstay
        "!MS-PG-111 west", // mainstay
        "!MS-PG-112 west", // bank
        "!MS-PG-112 west", // climber
        "!MS-PG-112 west", // root
        "!MS-PG-308 east", // keyless
        "!MS-PG-308 east", // nothing
        "!MS-PG-311 east",
        "MS-PG-306 east",
        "MS-PG-307 east", // writer
        "MS-PG-309 east", // full_rows
        "MS-PG-310 east",
    ];
    assert_eq!(codes(&found), expected, "{found:#?}");
    assert!(found.iter().all(|finding| finding.what.len() > 20 && finding.advice.len() > 20));
    assert!(found.iter().any(|finding| finding.what.contains("public.keyless")));
    assert!(found.iter().any(|finding| finding.what.contains("\"writer\"")));
}

#[tokio::test]
async fn one_database_twice_and_a_server_that_is_not_there_are_named() {
    let east = Site::start(GOOD).await;
    let again = PostgresEndpoint { host: "localhost".into(), ..east.endpoint.clone() };
    let gone = PostgresEndpoint { port: mainstay_testkit::free_port(), ..east.endpoint.clone() };
    let canary = Secret::new("canary-password");
    let wrong = PostgresEndpoint { password: Some(canary), ..east.endpoint.clone() };
    let absent = PostgresEndpoint { database: "nowhere".into(), ..east.endpoint.clone() };
    let sites = [
        ("east", east.endpoint.clone()),
        ("east-again", again),
        ("gone", gone),
        ("refused", wrong),
        ("unnamed", absent),
    ];
    let found = found(&sites, &["bank"]).await;
    let expected =
        ["!MS-PG-100 gone", "!MS-PG-101 refused", "!MS-PG-101 unnamed", "!MS-PG-316 east-again"];
    assert_eq!(codes(&found), expected, "{found:#?}");
    assert!(!format!("{found:?}").contains("canary"), "no password in what is shown");
}

#[tokio::test]
async fn a_server_that_cannot_replicate_is_named_with_the_setting() {
    let options = Options::default()
        .set("wal_level", "replica")
        .set("max_wal_senders", "1")
        .set("max_replication_slots", "2");
    let server = Postgres::start(options);
    let admin = server.client("postgres").await;
    let roles = "CREATE ROLE bank; CREATE ROLE weak LOGIN PASSWORD 'weak'";
    admin.batch_execute(roles).await.unwrap();
    let weak = PostgresEndpoint {
        user: "weak".into(),
        password: Some(Secret::new("weak")),
        ..server.endpoint("postgres")
    };
    let found = found(&[("east", weak)], &["bank"]).await;
    let expected = ["!MS-PG-301 east", "!MS-PG-302 east", "!MS-PG-302 east", "!MS-PG-303 east"];
    assert_eq!(codes(&found), expected, "{found:#?}");
}
