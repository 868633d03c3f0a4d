//! The whole path once, with the real binary on real servers: a bank, a disaster, the way home.
//! The oracle is the clients' own log and SQL at both databases; nothing here is timed.

use crate::golden::mainstay;
use mainstay_testkit::{Signal, etcd_folder, signal};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

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

/// A lab that stays up until this is dropped.
struct Lab {
    runtime: TempDir,
}

const SITES: [&str; 3] = ["east", "west", "witness"];
const LEASE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

impl Lab {
    fn up(arguments: &[&str]) -> Self {
        let lab = Self { runtime: tempfile::tempdir().expect("a folder") };
        let up = lab.run(&[&["lab", "up"], arguments].concat());
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        lab
    }

    fn command(&self) -> Command {
        let mut command = mainstay(self.runtime.path());
        for variable in ["PATH", "HOME", "MAINSTAY_PARTS", "TMPDIR"] {
            command.envs(std::env::var_os(variable).map(|value| (variable, value)));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("it runs")
    }

    /// A command for the agent of a site.
    fn at(&self, site: &str, arguments: &[&str]) -> Output {
        let state = self.run(&["lab", "state", site]).stdout;
        let state = String::from_utf8_lossy(&state).trim().to_owned();
        self.command().args(["--state", &state]).args(arguments).output().expect("it runs")
    }

    fn processes(&self) -> Value {
        let told = self.run(&["lab", "status", "--output", "json"]).stdout;
        serde_json::from_slice(&told).expect("JSON")
    }

    fn folder(&self) -> PathBuf {
        self.processes()["folder"].as_str().expect("a folder").into()
    }

    fn bank(&self, site: &str) -> Value {
        let told = self.at(site, &["status", "--output", "json"]).stdout;
        let status: Value = serde_json::from_slice(&told).unwrap_or_default();
        status["applications"][0].clone()
    }

    fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            // Time itself is the subject: something that other processes do is waited for.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// By the clients' own logs.
    fn acknowledged(&self) -> usize {
        let logs = std::fs::read_dir(self.folder().join("clients")).expect("the clients' folder");
        let logs = logs.map(|log| std::fs::read_to_string(log.expect("a file").path()));
        let lines = |log: String| log.matches("\"event\":\"acknowledged\"").count();
        logs.map(|log| lines(log.expect("a log"))).sum()
    }

    fn etcdctl(&self, arguments: &[&str]) {
        let folder = self.folder();
        let text =
            std::fs::read_to_string(folder.join("sites/east/mainstay.toml")).expect("a file");
        let endpoint = text.split('"').find(|part| part.starts_with("https://")).expect("a member");
        let tls = folder.join("sites/east/tls");
        let mut etcdctl = Command::new(etcd_folder().join("bin/etcdctl"));
        etcdctl.args(["--endpoints", endpoint]).arg("--cacert").arg(tls.join("ca.pem"));
        etcdctl.arg("--cert").arg(tls.join("east.pem")).arg("--key").arg(tls.join("east.key"));
        let output = etcdctl.args(arguments).output().expect("etcdctl starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let down = self.run(&["lab", "down"]);
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    }
}

fn kill_all_members(lab: &Lab) {
    let processes = lab.processes();
    let all = processes["processes"].as_array().expect("a list");
    let members = all.iter().filter(|it| it["name"].as_str().unwrap_or("").ends_with("-etcd"));
    let pids: Vec<u64> = members.map(|it| it["pid"].as_u64().expect("a pid")).collect();
    assert_eq!(pids.len(), 3);
    for pid in pids {
        signal(u32::try_from(pid).expect("a pid"), Signal::SIGKILL);
    }
}

/// All of etcd is killed under load for longer than a lease; then it comes back with a record from
/// before a move, as from an old snapshot.
#[test]
fn a_healthy_application_outlives_all_of_etcd_and_an_epoch_that_etcd_forgot_never_comes_again() {
    let lab = Lab::up(&["--coordinator", "etcd", "--accounts", "2000", "--rate", "50"]);
    let follows = || lab.bank("west")["links"][0]["phase"].to_string().contains("streaming");
    lab.wait_for("the link streams", follows);
    lab.wait_for("east serves", || lab.bank("east")["serving"] == true);

    kill_all_members(&lab);
    let lost = Instant::now();
    lab.wait_for("etcd is seen to be silent", || lab.bank("east")["coordinator"] == false);
    let (mut acknowledged, mut longest) = (lab.acknowledged(), Duration::ZERO);
    let mut rose = Instant::now();
    while lost.elapsed() < LEASE * 3 / 2 {
        let bank = lab.bank("east");
        assert_eq!((&bank["serving"], &bank["epoch"]), (&true.into(), &1.into()), "{bank:#}");
        // Time itself is the subject: a lease, and half of it, without its coordinator.
        std::thread::sleep(Duration::from_millis(500));
        let now = lab.acknowledged();
        longest = longest.max(rose.elapsed());
        if now > acknowledged {
            (acknowledged, rose) = (now, Instant::now());
        }
    }
    println!("the longest time in which nobody saw another transfer acknowledged: {longest:?}");
    assert!(longest < LEASE / 2, "transfers went on: {longest:?}");
    let told = String::from_utf8_lossy(&lab.at("east", &["status"]).stdout).into_owned();
    assert!(told.contains("silent since") && told.contains("0 of 3 members"), "{told}");
    let ordered = lab.at("west", &["failover", "--reason", "test", "--accept-loss", "1h"]);
    let why = String::from_utf8_lossy(&ordered.stderr).into_owned();
    assert!(!ordered.status.success() && why.contains("the coordinator does not answer"), "{why}");
    let plan = String::from_utf8_lossy(&lab.at("west", &["plan", "failover"]).stdout).into_owned();
    assert!(plan.contains("in the way   the coordinator does not answer"), "{plan}");
    for site in SITES {
        assert!(lab.run(&["lab", "start", site]).status.success());
    }
    lab.wait_for("etcd answers", || lab.bank("east")["coordinator"] == true);
    lab.wait_for("the link streams", follows);

    let moved = lab.at("west", &["switchover", "--reason", "test"]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    let record = |epoch, active, former, cause| {
        format!(
            r#"{{"epoch":{epoch},"active":"{active}","former":{former},"cause":"{cause}","renewal":9,"positions":{{}},"handover":null}}"#
        )
    };
    lab.etcdctl(&["put", "mainstay/bank", &record(1, "east", "null", "initial")]);
    for site in SITES {
        lab.wait_for("it is seen", || lab.bank(site)["state"] == "regressed");
    }
    assert_eq!(lab.bank("east")["serving"], false);
    assert_eq!(lab.bank("west")["serving"], false);
    lab.etcdctl(&["put", "mainstay/bank", &record(2, "west", "\"east\"", "ordered")]);
    lab.wait_for("west serves", || lab.bank("west")["serving"] == true);
    let before = lab.acknowledged();
    lab.wait_for("clients are served", || lab.acknowledged() > before);
}
