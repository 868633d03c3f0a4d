//! Switchover and failover: started, watched, left and joined again.

use crate::fake::FakeAgent;
use crate::golden::compare;
use crate::sample;
use mainstay_agent::types::ExecutionState::{Aborted, Running, Stuck, Succeeded};
use mainstay_testkit::{Signal, signal};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

const ONE: &str = "GET /v1/executions/bank-4";

#[test]
fn in_a_pipe_each_step_is_one_line_as_it_ends() {
    let agent = FakeAgent::new()
        .answers("POST /v1/switchover", &sample::execution(0, Running))
        .answers(ONE, &sample::execution(1, Running))
        .answers(ONE, &sample::execution(3, Running))
        .answers(ONE, &sample::execution(3, Running))
        .answers(ONE, &sample::execution(5, Succeeded));
    let shown = agent.shows(&["switchover", "bank", "--to", "west", "--reason", "new kernel"]);
    compare("moves/switchover.txt", &shown);
    let asked: Value = serde_json::from_str(&agent.asked("POST /v1/switchover")[0]).expect("JSON");
    let wanted = json!({
        "application": "bank", "to": "west", "accept_loss_s": null, "reason": "new kernel"
    });
    assert_eq!(asked, wanted);
}

#[test]
fn an_execution_that_aborts_or_sticks_ends_with_status_1() {
    for (name, state) in [("aborted", Aborted), ("stuck", Stuck)] {
        let agent = FakeAgent::new()
            .answers("POST /v1/failover", &sample::execution(0, Running))
            .answers(ONE, &sample::execution(2, state));
        let shown = agent.shows(&["failover", "--accept-loss", "30s"]);
        compare(&format!("moves/{name}.txt"), &shown);
        let asked: Value =
            serde_json::from_str(&agent.asked("POST /v1/failover")[0]).expect("JSON");
        assert_eq!(asked["accept_loss_s"], 30.0);
    }
}

#[test]
fn as_json_only_the_end_is_told() {
    let agent = FakeAgent::new()
        .answers("POST /v1/switchover", &sample::execution(0, Running))
        .answers(ONE, &sample::execution(5, Succeeded));
    let output = agent.run(&["switchover", "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(told["state"], "succeeded");
    assert!(output.status.success());
}

#[test]
fn an_agent_that_restarts_during_the_execution_is_waited_for() {
    let agent = FakeAgent::new()
        .answers("POST /v1/switchover", &sample::execution(0, Running))
        .breaks(ONE)
        .breaks(ONE)
        .answers(ONE, &sample::execution(5, Succeeded));
    let output = agent.run(&["switchover"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The site that the move leads to conducts it, and the other hears of it a moment later.
#[test]
fn an_execution_that_the_agent_has_not_heard_of_yet_is_waited_for() {
    let unknown = r#"{"code":"MS-AGENT-013","message":"there is no execution","advice":"-"}"#;
    let agent = FakeAgent::new()
        .answers("POST /v1/switchover", &sample::execution(0, Running))
        .gives(ONE, 404, unknown.to_owned())
        .answers(ONE, &sample::execution(5, Succeeded));
    let output = agent.run(&["switchover"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_running_execution_can_be_joined() {
    let agent = FakeAgent::new()
        .answers("GET /v1/executions", &[sample::execution(2, Running)])
        .answers(ONE, &sample::execution(5, Succeeded));
    compare("moves/joined.txt", &agent.shows(&["executions", "--follow"]));
}

/// The agent is asked only to look, never to stop.
#[test]
fn leaving_with_ctrl_c_leaves_the_execution_alone() {
    let agent = FakeAgent::new()
        .answers("POST /v1/switchover", &sample::execution(1, Running))
        .answers(ONE, &sample::execution(1, Running));
    let mut child = agent
        .command(&["switchover"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(line.contains("hold"), "{line}");
    signal(child.id(), Signal::SIGINT);
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert!(said.contains("mainstay executions --follow"), "{said}");
    assert_eq!(child.wait().expect("it ended").code(), Some(1));
    assert_eq!(agent.asked("POST /v1/switchover").len(), 1);
}

#[test]
fn a_move_that_is_not_waited_for_ends_at_once() {
    let agent = FakeAgent::new().answers("POST /v1/switchover", &sample::execution(0, Running));
    compare("moves/no-wait.txt", &agent.shows(&["switchover", "--no-wait"]));
    assert!(agent.asked(ONE).is_empty());
}

#[test]
fn a_reason_that_could_forge_a_line_of_the_ledger_is_refused() {
    let agent = FakeAgent::new();
    compare("moves/bad-reason.txt", &agent.shows(&["switchover", "--reason", "a\nb"]));
}
