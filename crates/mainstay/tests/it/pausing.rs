//! `mainstay pause` and `mainstay resume`: what they say, and, on a lab that is up, that no agent
//! begins a failover meanwhile. The oracle is the database of the site that would take over.

use crate::fake::FakeAgent;
use crate::golden::compare;
use crate::sample;
use crate::up::UpLab;
use mainstay_testkit::wait_for;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_pause_is_told_with_who_why_and_for_how_long() {
    let paused = json!({"application": "bank", "pause": sample::pause()});
    let resumed = json!({"application": "bank", "was": sample::pause()});
    let refused = r#"{"code":"MS-AGENT-030","message":"a pause of 90000 s is out of range","advice":"write 1s to 24h"}"#;
    let agent = FakeAgent::new()
        .answers("POST /v1/pause", &paused)
        .gives("POST /v1/pause", 409, refused.to_owned())
        .answers("POST /v1/resume", &resumed)
        .answers("POST /v1/resume", &json!({"application": "bank", "was": null}));
    let pause = ["pause", "bank", "--reason", "new disks at west", "--for"];
    compare("pause/paused.txt", &agent.shows(&[&pause[..], &["2h"]].concat()));
    compare("pause/too-long.txt", &agent.shows(&[&pause[..], &["25h"]].concat()));
    compare("pause/no-reason.txt", &agent.shows(&["pause"]));
    assert_eq!(
        agent.asked("POST /v1/pause")[0],
        r#"{"application":"bank","reason":"new disks at west","for_s":7200}"#
    );
    compare("pause/resumed.txt", &agent.shows(&["resume"]));
    compare("pause/was-not.txt", &agent.shows(&["resume"]));

    let mut status = sample::status();
    status.applications[0].pause = Some(sample::pause());
    let agent = FakeAgent::new().answers("GET /v1/status", &status);
    compare("pause/status.txt", &agent.shows(&["status"]));
}

fn state(lab: &UpLab, site: &str) -> String {
    lab.root().join("sites").join(site).join("state").display().to_string()
}

/// What the agent of that site answers.
fn asked(lab: &UpLab, site: &str, arguments: &[&str]) -> String {
    lab.done(&[arguments, &["--state", &state(lab, site)]].concat())
}

/// An agent that has just been started may not answer yet.
fn tells(lab: &UpLab, site: &str, what: &str) -> bool {
    let status = lab.run(&["status", "--state", &state(lab, site)]);
    String::from_utf8_lossy(&status.stdout).contains(what)
}

/// Whoever runs the test, as the system names them.
pub fn user() -> String {
    let output = std::process::Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn takes_writes(lab: &UpLab, site: &str) -> bool {
    let write = "SELECT nextval('transfer_number')";
    let mut psql = lab.tool_as("psql", site, "bank");
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", write])
        .output()
        .expect("psql")
        .status
        .success()
}

/// Every agent is killed and comes back; then the active site is lost.
#[tokio::test]
async fn while_paused_no_site_takes_over_whoever_restarts_until_a_person_resumes() {
    let lab = UpLab::start();
    asked(&lab, "west", &["pause", "--reason", "new disks at west"]);
    for site in ["witness", "west", "east"] {
        lab.kill_agent(site);
        lab.done(&["lab", "start", site]);
    }
    for site in ["east", "west", "witness"] {
        wait_for("it is told at each site", LONG, async || tells(&lab, site, "new disks at west"))
            .await;
    }
    wait_for("the link goes on", LONG, async || tells(&lab, "west", " s behind east")).await;
    lab.done(&["lab", "kill", "east"]);
    // Time itself is the subject: the lease of 10 s runs out, and what else takes its time is over.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!takes_writes(&lab, "west"));
    let plan = asked(&lab, "west", &["plan", "failover", "--output", "json"]);
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let refusals = plan["refusals"].as_array().expect("a list");
    assert!(refusals.len() == 1, "nothing but the pause is in the way: {refusals:#?}");
    assert!(refusals[0]["what"].to_string().contains("paused"), "{refusals:#?}");
    let status = asked(&lab, "west", &["status"]);
    assert!(status.contains("mainstay resume"), "{status}");

    asked(&lab, "witness", &["resume"]);
    wait_for("west takes over", LONG, async || takes_writes(&lab, "west")).await;
    let entries = asked(&lab, "west", &["ledger", "show", "--kind", "paused"]);
    assert!(entries.contains("new disks at west"), "{entries}");
    asked(&lab, "west", &["ledger", "verify"]);
}

#[tokio::test]
async fn a_pause_ends_by_itself_and_a_persons_order_does_not_wait_for_that() {
    let lab = UpLab::start();
    let began = Instant::now();
    lab.done(&["pause", "--reason", "a test", "--for", "25s"]);
    lab.done(&["lab", "kill", "east"]);
    wait_for("west takes over", LONG, async || takes_writes(&lab, "west")).await;
    let took = began.elapsed();
    assert!(took > Duration::from_secs(24), "{took:?}");

    lab.done(&["lab", "start", "east"]);
    wait_for("east is back", LONG, async || {
        lab.json(&["status"])["applications"][0]["equality"].to_string().contains("\"equal\"")
    })
    .await;
    lab.done(&["pause", "--reason", "another test"]);
    lab.done(&["lab", "kill", "west"]);
    lab.done(&["failover", "--accept-loss", "1m"]);
    let order = asked(&lab, "east", &["ledger", "show", "--kind", "order"]);
    assert!(order.contains(&format!("\"by\":\"{}\"", user())), "{order}");
    wait_for("east serves again", LONG, async || takes_writes(&lab, "east")).await;
    assert!(lab.done(&["status"]).contains("another test"), "the pause outlives the move");
}

#[tokio::test]
async fn without_the_coordinator_nobody_can_pause_and_is_told_so() {
    let lab = UpLab::start();
    lab.done(&["lab", "kill", "witness"]);
    let refused = lab.json(&["pause", "--reason", "a test"]);
    assert_eq!(refused["error"]["code"], "MS-AGENT-030", "{refused:#}");
    assert!(refused.to_string().contains("coordinator does not answer"), "{refused:#}");
    lab.done(&["lab", "start", "witness"]);
    wait_for("it can again", LONG, async || {
        lab.run(&["pause", "--reason", "a test"]).status.success()
    })
    .await;
    let kinds = lab.done(&["ledger", "show"]);
    assert!(kinds.contains("not-paused"), "{kinds}");
}
