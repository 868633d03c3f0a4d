//! Which processes answer.

use super::super::support::SOON;
use super::super::support::client::{Client, get};
use super::super::support::site::{LONG, Pair};
use http::{Request, StatusCode};
use mainstay_core::GroupName;
use mainstay_core::estate::{GroupRules, UpstreamGroup, WebRoute};
use mainstay_testkit::{wait_for, wait_for_value};
use std::collections::BTreeSet;
use std::time::Duration;

const HOLD: Duration = Duration::from_secs(20);

/// A group of one process of each site, named `api`.
async fn grouped(routes: &[(Option<&str>, &str)]) -> Pair {
    let group = GroupName::new("api").expect("a name");
    let routes: Vec<_> = routes
        .iter()
        .map(|(host, path)| WebRoute {
            host: host.map(str::to_owned),
            path: (*path).to_owned(),
            group: group.clone(),
        })
        .collect();
    let pair = Pair::start_with(HOLD, [1, 1], |spec| {
        let http = spec.http.as_mut().expect("there");
        let upstreams = vec![http.upstreams.pop().expect("there")];
        let rules = GroupRules::default();
        http.options.groups = [(group.clone(), UpstreamGroup { upstreams, rules })].into();
        http.options.routes = routes.clone();
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    pair
}

/// Whether the group answers, told by the upstreams' own counts.
async fn goes_to_group(pair: &Pair, gate: std::net::SocketAddr, host: &str, path: &str) -> bool {
    let count = || *pair.east.upstreams[1].entered.borrow();
    let before = count();
    let mut client = Client::connect(gate).await;
    let answer = client.send_to(host, Request::get(path), "").await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    count() > before
}

#[tokio::test]
async fn host_and_path_lead_to_a_group_here_and_through_the_tunnel() {
    let pair = grouped(&[(Some("*.api.example"), "/"), (None, "/v1")]).await;
    for gate in [pair.east.http, pair.west.http] {
        for (host, path, expected) in [
            ("bank.example", "/", false),
            ("bank.example", "/v1/x", true),
            ("bank.example", "/v10", false),
            ("eu.API.example:8080", "/", true),
            ("api.example", "/", false),
        ] {
            assert_eq!(goes_to_group(&pair, gate, host, path).await, expected, "{host} {path}");
        }
    }
}

#[tokio::test]
async fn a_client_with_the_cookie_comes_back_to_the_same_process() {
    let pair = Pair::start_with(HOLD, [1, 1], |spec| {
        spec.http.as_mut().unwrap().options.rules.sticky = Some("stay".to_owned());
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    let counts = || pair.east.upstreams.iter().map(|one| *one.entered.borrow()).collect::<Vec<_>>();
    let mut cookies = BTreeSet::new();
    for gate in [pair.east.http, pair.west.http] {
        let answer = get(gate, "/").await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        let pair_of_it = cookie.split(';').next().unwrap().to_owned();
        let before = counts();
        for _ in 0..10 {
            let request = Request::get("/").header("cookie", &pair_of_it);
            let answer = Client::connect(gate).await.send(request, "").await.unwrap();
            assert!(!answer.headers().contains_key("set-cookie"), "the client has it already");
        }
        let grown: Vec<_> = counts().iter().zip(before).map(|(now, then)| now - then).collect();
        assert!(grown == [10, 0] || grown == [0, 10], "{grown:?}");
        cookies.insert(pair_of_it);
    }
    assert!(cookies.iter().all(|cookie| cookie.starts_with("stay=")), "{cookies:?}");
}

#[tokio::test]
async fn a_process_that_is_gone_loses_its_clients_to_another() {
    let mut pair = Pair::start_with(HOLD, [1, 1], |spec| {
        spec.http.as_mut().unwrap().options.rules.sticky = Some("stay".to_owned());
    })
    .await;
    pair.east.serve(1, LONG).await;
    let mut cookies = BTreeSet::new();
    while cookies.len() < 2 {
        let answer = get(pair.east.http, "/").await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookies.insert(cookie.split(';').next().unwrap().to_owned());
    }
    pair.east.upstreams.pop();
    for cookie in cookies {
        let request = Request::get("/").header("cookie", cookie);
        let answer = Client::connect(pair.east.http).await.send(request, "").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_process_that_fails_its_checks_gets_nothing_until_it_passes_them() {
    let pair = Pair::start_with(HOLD, [1, 1], |spec| {
        spec.http.as_mut().unwrap().options.rules.check = Some("/check".to_owned());
    })
    .await;
    pair.east.serve(1, LONG).await;
    let sick = &pair.east.upstreams[0];
    sick.status.store(500, std::sync::atomic::Ordering::SeqCst);
    let asked = || pair.record.lock().unwrap().iter().filter(|seen| seen.path == "/x").count();
    // Once it is passed over, only the other one answers: two in a row with no failure say so.
    wait_for("the sick process to be left out", SOON, async || {
        let mut well = 0;
        for _ in 0..4 {
            well += usize::from(get(pair.east.http, "/x").await.status() == StatusCode::OK);
        }
        well == 4
    })
    .await;
    for _ in 0..20 {
        assert_eq!(get(pair.east.http, "/x").await.status(), StatusCode::OK);
    }
    sick.status.store(200, std::sync::atomic::Ordering::SeqCst);
    let port = sick.address.port();
    wait_for_value("the process to be asked again", SOON, async || {
        get(pair.east.http, "/x").await;
        let seen = pair.record.lock().unwrap();
        seen.iter().rev().take(2).any(|seen| seen.path == "/x" && seen.port == port).then_some(())
    })
    .await;
    assert!(asked() > 20);
}
