//! What the commands print of requests, and what they ask of the agent.

use crate::fake::FakeAgent;
use crate::golden::compare;
use crate::sample::{self, NOON, bank, site};
use mainstay_agent::types::ExecutionState::{Running, Succeeded};
use mainstay_agent::types::{ApprovalRequest, Begun, Forced, RequestState};
use mainstay_core::Epoch;
use serde_json::json;

fn request() -> ApprovalRequest {
    let forced = |name: &str, what: &str| Forced { name: name.into(), what: what.into() };
    ApprovalRequest {
        id: "bank-4-3f2a91bc".into(),
        application: bank(),
        from: site("east"),
        to: site("west"),
        epoch: Epoch::new(4),
        plan: "3f2a91bc04de77a1".into(),
        forced: vec![
            forced("healthy:witness", "witness reaches the application at the active site"),
            forced("lag-over-bound:db", "db was 12.4 s behind, more than the bound of 1.0 s"),
        ],
        loss_bound_s: Some(12.9),
        accept_loss_s: Some(30.0),
        fenced_by_hand: None,
        by: "ana".into(),
        reason: "east burns".into(),
        asked_micros: NOON,
        left_s: 590.0,
        state: RequestState::Open,
        detail: String::new(),
    }
}

#[test]
fn a_failover_that_takes_another_person_says_who_types_what_and_is_no_success() {
    let asked = Begun::Asked { request: request() };
    let agent = FakeAgent::new().answers("POST /v1/failover", &asked);
    compare("people/asked.txt", &agent.shows(&["failover", "--accept-loss", "30s"]));
    let word = ApprovalRequest { forced: vec![], accept_loss_s: None, ..request() };
    let asked = Begun::Asked { request: word };
    let agent = FakeAgent::new().answers("POST /v1/failover", &asked);
    compare("people/asked-for-a-word.txt", &agent.shows(&["failover"]));
}

#[test]
fn requests_are_listed_and_approved_and_taken_back() {
    let ended = ApprovalRequest {
        id: "bank-4-0c11d2e3".into(),
        left_s: 0.0,
        state: RequestState::Approved,
        detail: "by ben".into(),
        ..request()
    };
    let agent = FakeAgent::new()
        .answers("GET /v1/requests", &[request(), ended.clone()])
        .answers("GET /v1/requests", &std::slice::from_ref(&ended))
        .answers("POST /v1/approve", &sample::execution(0, Running))
        .answers("GET /v1/executions/bank-4", &sample::execution(5, Succeeded))
        .answers("POST /v1/withdraw", &ApprovalRequest { detail: "by ana".into(), ..ended });
    compare("people/requests.txt", &agent.shows(&["requests"]));
    compare("people/requests-ended.txt", &agent.shows(&["requests"]));
    compare("people/approved.txt", &agent.shows(&["approve", "bank-4-3f2a91bc"]));
    compare("people/withdrawn.txt", &agent.shows(&["withdraw", "bank-4-0c11d2e3"]));
    let id = json!({"id": "bank-4-3f2a91bc"}).to_string();
    assert_eq!(agent.asked("POST /v1/approve"), [id]);
}

#[test]
fn the_plan_that_was_seen_is_sent_with_the_order() {
    let agent = FakeAgent::new()
        .answers("POST /v1/failover", &sample::execution(0, Running))
        .answers("GET /v1/executions/bank-4", &sample::execution(5, Succeeded));
    agent.run(&["failover", "--plan", "3f2a91bc04de77a1"]);
    let asked: serde_json::Value =
        serde_json::from_str(&agent.asked("POST /v1/failover")[0]).expect("JSON");
    assert_eq!(asked["plan"], "3f2a91bc04de77a1");
}

#[test]
fn a_way_to_an_agent_elsewhere_that_cannot_be_used_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("empty"), "").expect("a file");
    let tries: [(&str, &[&str]); 5] = [
        ("no-https", &["--agent", "http://east:7480", "status"]),
        ("no-authority", &["--agent", "https://east:7480", "status"]),
        ("no-file", &["--agent", "https://east:7480", "--authority", "absent", "status"]),
        ("empty-authority", &["--agent", "https://east:7480", "--authority", "empty", "status"]),
        ("two-ways", &["--agent", "https://east:7480", "--state", "here", "status"]),
    ];
    for (name, arguments) in tries {
        let output = crate::golden::mainstay(folder.path()).args(arguments).output();
        let shown = crate::golden::shown(&output.expect("it runs"), folder.path());
        compare(&format!("people/{name}.txt"), &shown);
    }
}
