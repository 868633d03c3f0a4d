//! What stands in the way is said before anything is touched.

use mainstay_core::Severity;
use mainstay_core::estate::RedisStore;
use mainstay_stores::redis::check;
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer};
use std::time::Duration;

async fn codes(west: &RedisServer, east: &RedisServer) -> Vec<String> {
    let endpoints = [("west", west.endpoint()), ("east", east.endpoint())]
        .map(|(site, endpoint)| (site.to_owned().try_into().expect("a name"), endpoint));
    let store = RedisStore {
        users: vec![],
        readers: vec![],
        max_lag: Duration::from_secs(5),
        exclude: vec![],
        compare_every: None,
        endpoints: endpoints.into(),
    };
    let findings = check::findings("applications.bank.stores.cache", &store).await;
    let shown = |severity| if severity == Severity::Error { "error" } else { "warning" };
    findings
        .iter()
        .map(|it| {
            let site = it.place.rsplit('.').next().expect("a site");
            format!("{site} {} {}", shown(it.severity), it.code)
        })
        .collect()
}

fn good(kind: RedisKind) -> RedisOptions {
    RedisOptions::of(kind).password("secret").set("repl-backlog-size", "64mb").durable()
}

#[tokio::test]
async fn good_servers_have_no_findings_and_others_have_each_their_own() {
    let start = RedisServer::start;
    let (west, east) = (start(good(RedisKind::Redis7)), start(good(RedisKind::Redis7)));
    assert_eq!(codes(&west, &east).await, [""; 0]);
    assert_eq!(codes(&west, &west).await, ["east error MS-RD-309"]);

    let bad = good(RedisKind::Valkey9)
        .set("cluster-enabled", "yes")
        .set("maxmemory", "100mb")
        .set("maxmemory-policy", "allkeys-lru")
        .set("repl-backlog-size", "1mb")
        .set("appendonly", "no");
    let mut bad = start(bad);
    let wanted = ["302", "304", "305", "306", "307"].map(|code| {
        let severity = if code == "302" { "error" } else { "warning" };
        format!("east {severity} MS-RD-{code}")
    });
    assert_eq!(codes(&west, &bad).await, wanted);
    bad.kill9();
    assert_eq!(codes(&west, &bad).await, ["east error MS-RD-100"]);
}
