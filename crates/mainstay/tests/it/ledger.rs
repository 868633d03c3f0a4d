//! `mainstay ledger`: verified from its file, without an agent.

use crate::golden::{compare, mainstay, shown};
use mainstay_agent::ledger::Ledger;
use mainstay_core::SiteName;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// A ledger of three entries, written by the agent's own code and closed.
fn three() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let site = SiteName::new("east").expect("a name");
    let ledger = Ledger::open(&folder.path().join("ledger.db"), site).expect("a ledger");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for word in ["first", "second", "third"] {
        let appended =
            runtime.block_on(ledger.append("decision", "bank", &json!({ "word": word })));
        appended.expect("it is written");
    }
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = mainstay(folder);
    command.arg("--state").arg(folder).args(arguments).output().expect("it runs")
}

#[test]
fn a_sound_ledger_verifies_and_shows_its_entries() {
    let folder = three();
    let told = shown(&run(folder.path(), &["ledger", "verify"]), folder.path());
    assert!(told.starts_with("3 entries, head ") && told.ends_with("exit 0\n"), "{told}");
    let output = run(folder.path(), &["--output", "json", "ledger", "show", "--last", "2"]);
    let entries: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(entries[0]["body"], r#"{"word":"second"}"#);
    assert_eq!(entries.as_array().map(Vec::len), Some(2));
}

#[test]
fn one_changed_letter_is_found() {
    let folder = three();
    let file = folder.path().join("ledger.db");
    let mut bytes = std::fs::read(&file).expect("the ledger is one file once it is closed");
    let at = bytes.windows(6).position(|window| window == b"second").expect("it is in there");
    bytes[at] = b'S';
    std::fs::write(&file, bytes).expect("written");
    let output = run(folder.path(), &["ledger", "verify"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("MS-AGENT-007") && told.contains("entry 2"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_ledger_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    compare(
        "ledger-missing.txt",
        &shown(&run(folder.path(), &["ledger", "verify"]), folder.path()),
    );
}
