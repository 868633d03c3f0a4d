//! What keeps a gate from starting is said with a code, the place, and what to do.

use super::support::site::Pair;
use mainstay_core::SiteName;
use mainstay_traffic::gate::{self, GateError, GateSpec};
use std::net::TcpListener;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const HOLD: Duration = Duration::from_secs(1);

/// The configuration of a gate that does not run.
async fn spec() -> (Pair, GateSpec) {
    let mut pair = Pair::start(HOLD, [1, 1]).await;
    pair.east.stop_gate().await;
    let spec = pair.east.spec.clone();
    (pair, spec)
}

async fn refused(spec: GateSpec) -> GateError {
    let run = gate::run(spec, CancellationToken::new());
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    ended.expect("it ends by itself").expect_err("it does not run")
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_listener_and_the_way_to_find_who_has_it() {
    let (_pair, spec) = spec().await;
    let http = spec.http.as_ref().unwrap().listen;
    let db = spec.stores.values().next().unwrap().listen;
    for (address, place) in [
        (http, "applications.bank.gates.east.http.listen"),
        (db, "applications.bank.gates.east.stores.db"),
        (spec.peer_listen, "applications.bank.gates.east.peer_listen"),
    ] {
        let _other = TcpListener::bind(address).unwrap();
        let error = refused(spec.clone()).await;
        assert_eq!(error.code(), "MS-GATE-001");
        let text = error.to_string();
        for part in ["MS-GATE-001", &address.to_string(), place, "ss -ltnp"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_missing_or_of_another_site_is_named() {
    let (pair, mut spec) = spec().await;
    spec.tls.certificate = pair.west.spec.tls.certificate.clone();
    let text = refused(spec.clone()).await.to_string();
    assert!(text.contains("MS-GATE-002") && text.contains("DNS:east"), "{text}");
    spec.tls.authority = "/nowhere/authority.pem".into();
    let text = refused(spec).await.to_string();
    assert!(text.contains("MS-GATE-002") && text.contains("/nowhere/authority.pem"), "{text}");
}

#[tokio::test]
async fn a_damaged_epoch_file_keeps_the_gate_from_running() {
    let (_pair, spec) = spec().await;
    std::fs::write(spec.state_dir.join("gate-epoch.json"), "{").unwrap();
    let error = refused(spec).await;
    assert_eq!(error.code(), "MS-GATE-004");
    assert!(error.to_string().contains("gate-epoch.json"), "{error}");
}

#[tokio::test]
async fn a_site_name_that_is_no_host_name_is_refused_before_anything_is_served() {
    let (_pair, mut spec) = spec().await;
    spec.here = SiteName::new("east-").unwrap();
    assert_eq!(refused(spec).await.code(), "MS-GATE-002");
}
