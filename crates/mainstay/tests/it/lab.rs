//! The whole path once, with the real binary on real servers: a bank, a disaster, the way home.
//! The oracle is the clients' own log and SQL at both databases; nothing here is timed.

use serde_json::Value;
use std::process::Command;

#[test]
fn a_site_is_killed_under_load_and_every_acknowledged_transfer_is_at_both_sites_in_the_end() {
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["lab", "run", "--output", "json", "--accounts", "20000"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("one JSON document on standard output ({why}):\n{told}"));

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
