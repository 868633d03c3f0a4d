//! Scenes in which a second is not measured but must never be missed: one fault on real processes
//! in network namespaces. The oracle is the scene's own writers, who know only addresses.

use serde_json::Value;
use std::process::Command;

/// Networks take root; `make soak` and a machine of one's own have it.
fn may_make_networks() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    let root = id.stdout == b"0\n";
    if !root {
        eprintln!("NOT PLAYED: network namespaces take root (MS-LAB-014)");
    }
    root
}

fn holds(scene: &str) {
    if !may_make_networks() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["lab", "scene", scene, "--seed", "3", "--output", "json"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let outcome: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("one JSON document on standard output ({why}):\n{told}"));
    assert_eq!(outcome["missed"], Value::Array(Vec::new()), "{outcome:#}\n{told}");
    assert!(output.status.success(), "{told}");
}

#[test]
fn an_isolated_active_site_and_its_standby_are_never_both_writable_and_all_lost_is_salvaged() {
    holds("isolated");
}
