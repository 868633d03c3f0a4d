//! Switchovers under load: no request fails, and the two sites never overlap.

use super::support::SOON;
use super::support::client::Client;
use super::support::site::{LONG, Pair, Site};
use http::{Request, StatusCode};
use mainstay_testkit::wait_for;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CLIENTS: usize = 32;
const SWITCHES: u64 = 20;
/// Answers between two switches: two for each client on average.
const BETWEEN: usize = 2 * CLIENTS;

/// What one client saw: the ids that were acknowledged, the failures, the longest wait.
#[derive(Default)]
struct Log {
    acknowledged: Vec<String>,
    failed: Vec<String>,
    longest: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_switches_under_load_fail_no_request_and_never_overlap() {
    let pair = Pair::serving(Duration::from_secs(30), [1, 1]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let gate = if number % 2 == 0 { pair.east.http } else { pair.west.http };
        clients.spawn(load(number, gate, stop.clone()));
    }
    for epoch in 2..2 + SWITCHES {
        // Every switch meets clients at work, however slow the machine is.
        let answered = pair.record.lock().expect("no panic").len();
        wait_for("answers between two switches", SOON, async || {
            pair.record.lock().expect("no panic").len() >= answered + BETWEEN
        })
        .await;
        switch(&pair, epoch).await;
    }
    stop.store(true, SeqCst);
    let logs = clients.join_all().await;
    let failed: Vec<_> = logs.iter().flat_map(|log| &log.failed).collect();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    assert_each_once(&pair, &logs);
    assert_no_overlap(&pair);
    let count: usize = logs.iter().map(|log| log.acknowledged.len()).sum();
    let longest = logs.iter().map(|log| log.longest).max().unwrap();
    println!("{count} requests over {SWITCHES} switches, the longest took {longest:?}");
    assert!(count > BETWEEN * 20);
    assert!(longest < SOON, "{longest:?}");
}

/// Alternates who is told first, as agents would.
async fn switch(pair: &Pair, epoch: u64) {
    let (old, new) = match epoch % 2 {
        0 => (&pair.east, &pair.west),
        _ => (&pair.west, &pair.east),
    };
    old.hold(epoch - 1, LONG).await;
    old.report(|report| report.drained).await;
    let forward = async || drop(old.forward(epoch, new.name.as_str()).await);
    let serve = async |site: &Site| drop(site.serve(epoch, LONG).await);
    if epoch % 4 < 2 {
        forward().await;
        serve(new).await;
    } else {
        serve(new).await;
        forward().await;
    }
}

async fn load(number: usize, gate: std::net::SocketAddr, stop: Arc<AtomicBool>) -> Log {
    let (mut log, mut client) = (Log::default(), Client::connect(gate).await);
    for round in 0.. {
        if stop.load(SeqCst) {
            break;
        }
        let (id, began) = (format!("{number}-{round}"), Instant::now());
        match client.send(Request::post("/work"), id.clone()).await {
            Ok(response) if response.status() == StatusCode::OK => log.acknowledged.push(id),
            other => log.failed.push(format!("{id}: {other:?}")),
        }
        log.longest = log.longest.max(began.elapsed());
    }
    log
}

/// By the upstreams' own record.
fn assert_each_once(pair: &Pair, logs: &[Log]) {
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for seen in pair.record.lock().expect("no panic").iter() {
        *done.entry(String::from_utf8(seen.body.to_vec()).expect("an id")).or_default() += 1;
    }
    for id in logs.iter().flat_map(|log| &log.acknowledged) {
        assert_eq!(done.get(id), Some(&1), "{id}");
    }
}

/// Whenever the site changes, the new one began its first request after the old one had ended
/// its last.
fn assert_no_overlap(pair: &Pair) {
    let record = pair.record.lock().expect("no panic");
    let mut by_beginning: Vec<_> = record.iter().collect();
    by_beginning.sort_by_key(|seen| seen.began);
    let mut changes = 0;
    let mut ended = BTreeMap::new();
    for two in by_beginning.windows(2) {
        let last = ended.entry(two[0].site.clone()).or_insert(two[0].ended);
        *last = (*last).max(two[0].ended);
        if two[0].site != two[1].site {
            changes += 1;
            assert!(*last <= two[1].began, "{} and {} overlap", two[0].site, two[1].site);
        }
    }
    assert_eq!(changes, SWITCHES);
}
