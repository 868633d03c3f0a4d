//! A site is stopped from outside, on labs that are up: real agents, real databases, real programs.
//! What happened is read from the ledger, and judged by the lease that stands there: when the other
//! site took over, and for how long it had seen no renewal then.

use crate::fake::FakeAgent;
use crate::golden::compare;
use crate::sample;
use crate::up::UpLab;
use mainstay_agent::types::ExecutionState;
use mainstay_testkit::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);
/// Of the lab's configuration, with the margin for clocks.
const LEASE_MS: u64 = 10_200;

#[test]
fn a_receipt_is_shown_means_by_means() {
    let mut execution = sample::execution(5, ExecutionState::Succeeded);
    let tried = |means: Value, outcome: &str, detail: &str| {
        json!({"means": means, "outcome": outcome, "by": "west", "micros": sample::NOON,
            "detail": detail})
    };
    let receipt = json!({"fenced": "east", "epoch": 3, "tried": [
        tried(json!({"kind": "command", "number": 1, "program": "/opt/stop"}), "unknown",
            "confirm was killed after 10.0 s"),
        tried(json!({"kind": "lease", "waited_ms": 10_312}), "confirmed", "its lease ran out"),
        tried(json!({"kind": "database", "store": "db", "sessions_cut": 0, "position": null}),
            "refused", "epoch 4 is stale"),
    ]});
    execution.facts.insert("receipt".to_owned(), receipt);
    let agent = FakeAgent::new().answers("GET /v1/executions", &[execution]);
    compare("executions/receipt.txt", &agent.shows(&["executions", "bank-4"]));
}

fn state(lab: &UpLab, site: &str) -> String {
    lab.root().join("sites").join(site).join("state").display().to_string()
}

/// The ledger of west, oldest first: each entry's kind and what it says.
fn ledger(lab: &UpLab) -> Vec<(String, Value)> {
    let ledger = format!("{}/ledger.db", state(lab, "west"));
    let shown = lab.json(&["ledger", "show", "--last", "100000", "--ledger", &ledger]);
    let entry = |entry: &Value| {
        let body = entry["body"].as_str().expect("a body");
        let kind = entry["kind"].as_str().expect("a kind");
        (kind.to_owned(), serde_json::from_str(body).expect("JSON"))
    };
    shown.as_array().unwrap_or_else(|| panic!("{shown:#}")).iter().map(entry).collect()
}

fn entries(lab: &UpLab, kind: &str) -> Vec<Value> {
    ledger(lab).into_iter().filter(|(of, _)| of == kind).map(|(_, body)| body).collect()
}

/// The first entries of these kinds are there, in this order.
fn in_order(lab: &UpLab, kinds: &[&str]) {
    let ledger = ledger(lab);
    let places = kinds.iter().map(|kind| ledger.iter().position(|(of, _)| of == kind));
    let places: Option<Vec<usize>> = places.collect();
    assert!(places.is_some_and(|places| places.is_sorted()), "{kinds:?}: {ledger:#?}");
}

async fn until_entered(lab: &UpLab, kind: &str) -> Value {
    wait_for(kind, LONG, async || !entries(lab, kind).is_empty()).await;
    entries(lab, kind).remove(0)
}

fn takes_writes(lab: &UpLab, site: &str) -> bool {
    let mut psql = lab.tool_as("psql", site, "bank");
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nextval('transfer_number')"]);
    psql.output().expect("psql").status.success()
}

async fn until_west_serves(lab: &UpLab) {
    wait_for("west takes over", LONG, async || takes_writes(lab, "west")).await;
}

/// How long west had seen no renewal when it decided.
fn waited_ms(lab: &UpLab) -> u64 {
    let decision = &entries(lab, "decision")[0];
    decision["facts"]["lease_waited_ms"].as_u64().unwrap_or_else(|| panic!("{decision:#}"))
}

fn outcomes(receipt: &Value) -> Vec<(String, String)> {
    let tried = receipt["tried"].as_array().unwrap_or_else(|| panic!("{receipt:#}"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tried.iter().map(|it| (word(&it["means"]["kind"]), word(&it["outcome"]))).collect()
}

fn last_receipt(lab: &UpLab) -> Value {
    let executions = lab.json(&["executions", "--state", &state(lab, "west")]);
    executions[0]["facts"]["receipt"].clone()
}

/// The means that west has for stopping east become these; its agent begins anew with them.
async fn with_means(lab: &UpLab, command: &str, confirm: &str, timeout: &str) {
    let path = lab.root().join("sites/west/mainstay.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let (before, rest) = text.split_once("[[applications.bank.fencing.east]]").expect("means");
    let (_, after) = rest.split_once("\n\n").expect("more");
    let script = |text: &str| format!("[\"/bin/sh\", \"-c\", {text:?}]");
    let means = format!(
        "[[applications.bank.fencing.east]]\ncommand = {}\nconfirm = {}\ntimeout = \"{timeout}\"\n\n",
        script(command),
        script(confirm)
    );
    std::fs::write(&path, [before, &means, after].concat()).expect("it is written");
    restart_west(lab).await;
}

async fn restart_west(lab: &UpLab) {
    lab.kill_agent("west");
    lab.done(&["lab", "start", "west"]);
    wait_for("west follows again", LONG, async || {
        let status = lab.json(&["status", "--state", &state(lab, "west")]);
        let link = &status["applications"][0]["links"][0];
        link["phase"] == "streaming" && link["lag"].as_f64().is_some_and(|lag| lag < 1.0)
    })
    .await;
}

/// A dead process that nobody has waited for yet does not count.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn in_lab(lab: &UpLab, name: &str) -> String {
    lab.root().join(name).display().to_string()
}

#[tokio::test]
async fn a_confirmed_fence_takes_the_place_of_the_lease_and_is_told() {
    let lab = UpLab::start_with(&["--fence"]);
    lab.done(&["lab", "cut", "east", "west"]);
    lab.done(&["lab", "cut", "east", "witness"]);
    let east = lab.pid("east-agent");
    until_west_serves(&lab).await;
    assert!(!runs(east) && !takes_writes(&lab, "east"), "east was not stopped");
    assert!(waited_ms(&lab) < LEASE_MS, "{} ms", waited_ms(&lab));

    in_order(&lab, &["fence-intent", "fence-outcome", "decision", "execution-begun"]);
    let receipt = last_receipt(&lab);
    assert_eq!(receipt["fenced"], "east");
    assert_eq!(
        outcomes(&receipt)[0],
        ("command".to_owned(), "confirmed".to_owned()),
        "{receipt:#}"
    );
    assert_eq!(receipt["tried"][0]["by"], "west");
    let id = lab.json(&["executions"])[0]["id"].as_str().expect("an id").to_owned();
    let shown = lab.done(&["executions", &id]);
    assert!(shown.contains("fence of east, epoch 1") && shown.contains("confirmed"), "{shown}");

    lab.done(&["lab", "heal"]);
    lab.done(&["lab", "start", "east"]);
    wait_for("east is back", LONG, async || {
        lab.json(&["status"])["applications"][0]["equality"].to_string().contains("\"equal\"")
    })
    .await;
    assert!(!takes_writes(&lab, "east"));
    lab.done(&["ledger", "verify"]);
}

#[tokio::test]
async fn a_fence_that_nobody_confirms_waits_for_the_lease() {
    let lab = UpLab::start_with(&["--fence"]);
    with_means(&lab, "exit 0", "echo it runs; exit 1", "1s").await;
    lab.done(&["lab", "kill", "east"]);
    until_west_serves(&lab).await;
    assert!(waited_ms(&lab) >= LEASE_MS, "{} ms", waited_ms(&lab));
    let receipt = last_receipt(&lab);
    let expected = [("command", "unknown"), ("lease", "confirmed"), ("database", "unknown")];
    let expected = expected.map(|(means, outcome)| (means.to_owned(), outcome.to_owned()));
    assert_eq!(outcomes(&receipt), expected, "{receipt:#}");
    assert!(receipt["tried"][0]["detail"].to_string().contains("it runs"), "{receipt:#}");
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started_and_proves_nothing() {
    let lab = UpLab::start_with(&["--fence"]);
    let pids = in_lab(&lab, "hanging");
    let command = format!("sleep 4713 & echo $! > {pids}; wait");
    with_means(&lab, &command, "exit 0", "2s").await;
    lab.done(&["lab", "kill", "east"]);
    let outcome = until_entered(&lab, "fence-outcome").await;
    assert_eq!(outcomes(&outcome["receipt"])[0].1, "unknown", "{outcome:#}");
    let child = std::fs::read_to_string(&pids).expect("it ran");
    let runs = std::fs::read_to_string(format!("/proc/{}/cmdline", child.trim()));
    assert!(!runs.unwrap_or_default().contains("4713"), "its child still runs");
    until_west_serves(&lab).await;
    assert!(waited_ms(&lab) >= LEASE_MS, "{} ms", waited_ms(&lab));
}

/// East is cut off, and back before it is confirmed (by a means that lies) to be stopped.
#[tokio::test]
async fn a_renewal_between_the_fence_and_the_claim_makes_the_proof_void() {
    let lab = UpLab::start_with(&["--fence"]);
    let gate = in_lab(&lab, "may-confirm");
    let confirm = format!("test -e {gate} && echo stopped");
    with_means(&lab, "exit 0", &confirm, "60s").await;
    lab.done(&["lab", "cut", "east", "west"]);
    lab.done(&["lab", "cut", "east", "witness"]);
    let intent = until_entered(&lab, "fence-intent").await;
    lab.done(&["lab", "heal"]);
    wait_for("east renews", LONG, async || takes_writes(&lab, "east")).await;
    wait_for("west sees it", LONG, async || {
        let status = lab.json(&["status", "--state", &state(&lab, "west")]);
        status["applications"][0]["state"] == "standby"
    })
    .await;
    std::fs::write(&gate, "").expect("it is written");
    let outcome = until_entered(&lab, "fence-outcome").await;
    assert_eq!(outcomes(&outcome["receipt"])[0].1, "confirmed", "{outcome:#}");
    let over = until_entered(&lab, "fence-over").await;
    assert_eq!(over["renewal"], intent["renewal"], "the proof was of another record");
    // Time itself is the subject: a failover that the proof would allow begins at once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(entries(&lab, "decision").is_empty(), "{:#?}", entries(&lab, "decision"));
    assert!(takes_writes(&lab, "east") && !takes_writes(&lab, "west"));
}

#[tokio::test]
async fn after_a_crash_in_the_middle_it_is_looked_at_and_nothing_is_stopped_again() {
    let lab = UpLab::start_with(&["--fence"]);
    let (begun, asked) = (in_lab(&lab, "begun"), in_lab(&lab, "asked"));
    let command = format!("echo once >> {begun}; sleep 60");
    let confirm = format!("echo asked >> {asked}; echo stopped");
    with_means(&lab, &command, &confirm, "60s").await;
    lab.done(&["lab", "kill", "east"]);
    wait_for("the command runs", LONG, async || std::fs::metadata(&begun).is_ok()).await;
    lab.kill_agent("west");
    assert!(std::fs::metadata(&asked).is_err(), "it was not confirmed yet");
    lab.done(&["lab", "start", "west"]);
    // Whether it takes over then depends on what it had applied: what had only arrived was lost
    // with its agent.
    let outcome = until_entered(&lab, "fence-outcome").await;
    assert_eq!(outcomes(&outcome["receipt"])[0].1, "confirmed");
    assert_eq!(std::fs::read_to_string(&begun).expect("a file"), "once\n");
    in_order(&lab, &["fence-intent", "fence-looked-at-again", "fence-outcome"]);
}

#[tokio::test]
async fn a_persons_word_that_the_site_is_off_takes_the_place_of_the_lease_unless_it_renews() {
    let lab = UpLab::start();
    let word = ["failover", "--fenced-by-hand", "pulled both plugs", "--reason", "a test"];
    let refused = lab.json(&word);
    assert_eq!(refused["error"]["code"], "MS-AGENT-012", "{refused:#}");
    assert!(refused.to_string().contains("is not off"), "{refused:#}");

    lab.done(&["lab", "kill", "east"]);
    wait_for("the word is taken", LONG, async || lab.run(&word).status.success()).await;
    until_west_serves(&lab).await;
    assert!(waited_ms(&lab) < LEASE_MS, "{} ms", waited_ms(&lab));
    let receipt = last_receipt(&lab);
    assert_eq!(outcomes(&receipt)[0], ("by-hand".to_owned(), "confirmed".to_owned()));
    assert_eq!(receipt["tried"][0]["detail"], "pulled both plugs");
    let order = entries(&lab, "order");
    let worded = order.iter().all(|it| it["fenced_by_hand"] == "pulled both plugs");
    assert!(worded && !order.is_empty(), "{order:#?}");
}
