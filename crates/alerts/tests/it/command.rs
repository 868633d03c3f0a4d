//! Programs that are really run.

use crate::support::{failed, message, sender};
use mainstay_alerts::{Sender, Status};
use mainstay_core::notifier::NotifierKind;
use mainstay_testkit::wait_for;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

fn shell(script: &str, folder: &Path) -> Sender {
    let folder = folder.display().to_string();
    let run = ["/bin/sh", "-c", script, "notifier", &folder].map(str::to_owned).to_vec();
    sender(NotifierKind::Command { run })
}

fn file(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn a_program_reads_the_message_and_sees_nothing_of_the_agents_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    // Cargo gives this process variables of its own; none of them may be there.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let keeps = shell("cat > \"$1/in\"; env > \"$1/env\"; pwd > \"$1/pwd\"", folder.path());
    keeps.send(&message(Status::Begun)).await.expect("delivered");
    let body: Value = serde_json::from_str(&file(folder.path(), "in")).expect("JSON");
    assert_eq!(body["what"], message(Status::Begun).alert.what);
    assert_eq!(file(folder.path(), "pwd"), "/\n");
    let environment = file(folder.path(), "env");
    let names = environment.lines().filter_map(|line| line.split('=').next());
    let mut names: Vec<_> = names.filter(|name| *name != "_").collect();
    names.sort_unstable();
    assert_eq!(names, ["LANG", "PATH", "PWD"], "{environment}");
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_no_delivery_and_its_words_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let fails = shell("echo no pager today >&2; exit 3", folder.path());
    let why = failed(&fails, &message(Status::Begun)).await;
    assert!(why.contains("exit status: 3") && why.contains("no pager today"), "{why}");
    let loud = shell("yes long | head -c 10000000 >&2; exit 1", folder.path());
    let why = failed(&loud, &message(Status::Begun)).await;
    assert!(why.contains("long") && why.len() < 1000, "{}", why.len());
    let nothing = NotifierKind::Command { run: vec!["/nowhere/pager".to_owned()] };
    let why = failed(&sender(nothing), &message(Status::Begun)).await;
    assert!(why.contains("/nowhere/pager"), "{why}");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_none_the_worse() {
    let folder = tempfile::tempdir().expect("a folder");
    shell("exit 0", folder.path()).send(&message(Status::Begun)).await.expect("delivered");
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let hangs = shell("sleep 1000 & echo $! > \"$1/pid\"; wait", folder.path());
    let why = failed(&hangs, &message(Status::Begun)).await;
    assert!(why.contains("nothing within 10 s"), "{why}");
    let pid = file(folder.path(), "pid").trim().to_owned();
    assert!(!pid.is_empty());
    wait_for("the program's child is gone", Duration::from_secs(60), async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    })
    .await;
}

#[tokio::test]
async fn a_process_that_a_program_leaves_behind_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let leaves = shell("sleep 1000 & echo $! > \"$1/pid\"; exit 0", folder.path());
    let began = std::time::Instant::now();
    leaves.send(&message(Status::Begun)).await.expect("delivered");
    assert!(began.elapsed() < Duration::from_secs(500), "{:?}", began.elapsed());
    let pid: u32 = file(folder.path(), "pid").trim().parse().expect("a pid");
    mainstay_testkit::signal(pid, mainstay_testkit::Signal::SIGKILL);
}
