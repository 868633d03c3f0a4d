//! `mainstay failover` on a terminal, which `script` of util-linux makes: it shows the plan and
//! asks, and only a yes begins anything.

use crate::fake::FakeAgent;
use crate::sample;
use mainstay_agent::types::ExecutionState::{Running, Succeeded};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const PLAN: &str = "GET /v1/plan?kind=failover";
const FAILOVER: &str = "POST /v1/failover";
const QUESTION: &str = "fail over like this?";
/// As a keyboard sends them at the beginning of a line.
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

fn agent() -> FakeAgent {
    FakeAgent::new()
        .answers(PLAN, &sample::plan())
        .answers(FAILOVER, &sample::execution(0, Running))
        .answers("GET /v1/executions/bank-4", &sample::execution(5, Succeeded))
}

/// What a person sees who types each of these when the question comes once more, and the status.
fn typed(agent: &FakeAgent, arguments: &str, keys: &[&str]) -> (String, i32) {
    let command = agent.command(&[]);
    let words: Vec<_> = command.get_args().map(|it| it.to_string_lossy().into_owned()).collect();
    let line =
        format!("{} {} {arguments}", command.get_program().to_string_lossy(), words.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    script.env("NO_COLOR", "1").env("SHELL", "/bin/sh");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().expect("script of util-linux runs");
    let mut keyboard = script.stdin.take().expect("it is piped");
    let mut screen = script.stdout.take().expect("it is piped");
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    let mut keys = keys.iter();
    let mut asked = 0;
    loop {
        let read = screen.read(&mut piece).expect("it can be read");
        if read == 0 {
            break;
        }
        seen.extend_from_slice(&piece[..read]);
        let now = String::from_utf8_lossy(&seen).matches("[y/N] ").count();
        while asked < now {
            asked += 1;
            let key = keys.next().expect("it asks no more often");
            keyboard.write_all(key.as_bytes()).expect("a key");
        }
    }
    let status = script.wait().expect("it ends");
    assert_eq!(keys.next(), None, "it asked for each: {}", String::from_utf8_lossy(&seen));
    (String::from_utf8_lossy(&seen).into_owned(), status.code().unwrap_or(-1))
}

#[test]
fn a_yes_begins_the_plan_that_was_shown_and_no_other() {
    for yes in ["y\n", "YES\n"] {
        let agent = agent();
        let (seen, status) = typed(&agent, "failover", &[yes]);
        assert_eq!(status, 0, "{seen}");
        let hash = sample::plan().hash.expect("a plan has one");
        assert!(seen.contains(QUESTION) && seen.contains("at most"), "{seen}");
        let asked: Value = serde_json::from_str(&agent.asked(FAILOVER)[0]).expect("JSON");
        assert_eq!(asked["plan"], Value::String(hash), "{asked}");
    }
}

#[test]
fn everything_but_a_yes_begins_nothing() {
    for (keys, status) in [("n\n", 1), ("\n", 1), ("yesterday\n", 1), (CTRL_D, 1), (CTRL_C, 130)] {
        let agent = agent();
        let (seen, ended) = typed(&agent, "failover", &[keys]);
        assert_eq!(ended, status, "{keys:?}: {seen}");
        assert_eq!(seen.contains("nothing was done"), status == 1, "{keys:?}: {seen}");
        assert!(agent.asked(FAILOVER).is_empty(), "{keys:?}: {seen}");
    }
}

#[test]
fn a_plan_that_changed_meanwhile_is_shown_and_asked_about_again() {
    let changed =
        r#"{"code":"MS-PEOPLE-007","message":"the plan is not that any more","advice":""}"#;
    let agent = FakeAgent::new()
        .answers(PLAN, &sample::plan())
        .gives(FAILOVER, 409, changed.to_owned())
        .answers(FAILOVER, &sample::execution(5, Succeeded));
    let (seen, status) = typed(&agent, "failover", &["y\n", "n\n"]);
    assert_eq!(status, 1, "{seen}");
    assert!(seen.contains("the plan is not that any more"), "{seen}");
    assert_eq!(agent.asked(PLAN).len(), 2, "{seen}");
    assert_eq!(agent.asked(FAILOVER).len(), 1, "the second answer was a no");
}

#[test]
fn beforehand_as_json_or_without_a_terminal_nobody_is_asked() {
    for arguments in ["failover --yes", "failover --output json"] {
        let agent = agent();
        let (seen, status) = typed(&agent, arguments, &[]);
        assert_eq!(status, 0, "{seen}");
        assert!(agent.asked(PLAN).is_empty() && agent.asked(FAILOVER).len() == 1, "{seen}");
    }
    let agent = agent();
    let output = agent.run(&["failover"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(agent.asked(PLAN).is_empty());
}
