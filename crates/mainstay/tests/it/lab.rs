//! The whole path once, with the real binary on real servers: a bank, a disaster, the way home.
//! The oracle is the clients' own log and SQL at both databases; nothing here is timed.

use serde_json::Value;
use std::process::Command;

#[test]
fn a_site_is_killed_under_load_and_every_acknowledged_transfer_is_at_both_sites_in_the_end() {
    let (report, told) = lab(&["--accounts", "20000"]);
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    assert!(number("acknowledged") > 0, "{told}");
    assert_eq!(number("unaccounted"), 0, "{report:#}");
    assert_eq!(number("failed_for_good"), 0, "{report:#}");
    assert_eq!(report["overlap_ms"], 0, "two sites accepted writes: {report:#}");
    for holds in ["balanced", "numbers_unique", "sides_equal", "ledger_ok"] {
        assert_eq!(report[holds], true, "{holds}: {report:#}");
    }
    assert!(number("salvaged") >= number("lost"), "what was lost is in the salvage: {report:#}");
    assert_eq!(number("returned"), number("lost"), "{report:#}");
}

#[test]
fn of_500_transactions_that_never_arrived_all_are_in_the_salvage_and_nothing_is_promoted_unasked() {
    let (report, told) = lab(&["--lost", "500", "--accounts", "5000", "--load-seconds", "2"]);
    let never = &report["never_arrived"];
    let number = |name: &str| never[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    for all in ["acknowledged", "salvaged", "shown"] {
        assert_eq!(number(all), 500, "{all}: {never:#}\n{told}");
    }
    let none = ["others", "out_of_order", "touched_before_kept", "shown_wrong", "wrong_in_the_end"];
    for none in none.into_iter().chain(["stale_accepted"]) {
        assert_eq!(number(none), 0, "{none}: {never:#}\n{told}");
    }
    for some in ["conflicts", "stale_attempts", "written_meanwhile"] {
        assert!(number(some) > 0, "{some}: {never:#}\n{told}");
    }
    assert_eq!(report["disasters"][0]["ordered"], true, "by a person: {report:#}");
    assert_eq!(report["unaccounted"], 0, "{report:#}");
    assert_eq!(report["returned"], report["lost"], "{report:#}");
    assert_eq!(report["overlap_ms"], 0, "two sites accepted writes: {report:#}");
    for holds in ["balanced", "numbers_unique", "sides_equal", "ledger_ok"] {
        assert_eq!(report[holds], true, "{holds}: {report:#}");
    }
}

/// The site is cut off from all others, and accepts writes of its own clients until it is stopped.
#[test]
fn soak_a_site_that_is_cut_off_is_stopped_before_the_other_one_accepts_a_write() {
    let (report, told) = lab(&["--fence=cut", "--accounts", "5000"]);
    assert_eq!(report["overlap_ms"], 0, "two sites accepted writes: {report:#}");
    assert_eq!(report["unaccounted"], 0, "{report:#}\n{told}");
    assert_eq!(report["returned"], report["lost"], "{report:#}");
    let timeline = report["timeline"].to_string();
    assert!(timeline.contains("\"fenced\""), "{timeline}");
    for holds in ["balanced", "numbers_unique", "sides_equal", "ledger_ok"] {
        assert_eq!(report[holds], true, "{holds}: {report:#}");
    }
}

/// The report of one run, and what was told of it meanwhile.
fn lab(arguments: &[&str]) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["lab", "run", "--output", "json"])
        .args(arguments)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("one JSON document on standard output ({why}):\n{told}"));
    (report, told)
}
