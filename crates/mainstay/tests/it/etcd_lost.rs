//! All of etcd is lost under load, and comes back with a record from before a move.

use crate::up::UpLab;
use mainstay_testkit::{Signal, etcd_folder, signal};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const SITES: [&str; 3] = ["east", "west", "witness"];
const LEASE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

fn bank(lab: &UpLab, site: &str) -> Value {
    let told = lab.at(site, &["status", "--output", "json"]).stdout;
    let status: Value = serde_json::from_slice(&told).unwrap_or_default();
    status["applications"][0].clone()
}

fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        // Time itself is the subject: something that other processes do is waited for.
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// By the clients' own logs.
fn transfers(lab: &UpLab) -> usize {
    let logs = std::fs::read_dir(lab.root().join("clients")).expect("the clients' folder");
    let logs = logs.map(|log| std::fs::read_to_string(log.expect("a file").path()));
    let lines = |log: String| log.matches("\"event\":\"acknowledged\"").count();
    logs.map(|log| lines(log.expect("a log"))).sum()
}

fn etcdctl(lab: &UpLab, arguments: &[&str]) {
    let folder = lab.root();
    let text = std::fs::read_to_string(folder.join("sites/east/mainstay.toml")).expect("a file");
    let endpoint = text.split('"').find(|part| part.starts_with("https://")).expect("a member");
    let tls = folder.join("sites/east/tls");
    let mut etcdctl = Command::new(etcd_folder().join("bin/etcdctl"));
    etcdctl.args(["--endpoints", endpoint]).arg("--cacert").arg(tls.join("ca.pem"));
    etcdctl.arg("--cert").arg(tls.join("east.pem")).arg("--key").arg(tls.join("east.key"));
    let output = etcdctl.args(arguments).output().expect("etcdctl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn kill_all_members(lab: &UpLab) {
    let processes = lab.json(&["lab", "status"]);
    let all = processes["processes"].as_array().expect("a list");
    let members = all.iter().filter(|it| it["name"].as_str().unwrap_or("").ends_with("-etcd"));
    let pids: Vec<u64> = members.map(|it| it["pid"].as_u64().expect("a pid")).collect();
    assert_eq!(pids.len(), 3);
    for pid in pids {
        signal(u32::try_from(pid).expect("a pid"), Signal::SIGKILL);
    }
}

/// It is killed for longer than a lease; what comes back is as from an old snapshot.
#[test]
fn a_healthy_application_outlives_all_of_etcd_and_an_epoch_that_etcd_forgot_never_comes_again() {
    let lab = UpLab::start_with(&["--coordinator", "etcd"]);
    soon("east serves", || bank(&lab, "east")["serving"] == true);

    kill_all_members(&lab);
    let lost = Instant::now();
    soon("etcd is seen to be silent", || bank(&lab, "east")["coordinator"] == false);
    let (mut acknowledged, mut longest) = (transfers(&lab), Duration::ZERO);
    let mut rose = Instant::now();
    while lost.elapsed() < LEASE * 3 / 2 {
        let bank = bank(&lab, "east");
        assert_eq!((&bank["serving"], &bank["epoch"]), (&true.into(), &1.into()), "{bank:#}");
        // Time itself is the subject: a lease, and half of it, without its coordinator.
        std::thread::sleep(Duration::from_millis(500));
        let now = transfers(&lab);
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
    soon("etcd answers", || bank(&lab, "east")["coordinator"] == true);
    let follows = || bank(&lab, "west")["links"][0]["phase"].to_string().contains("streaming");
    soon("the link streams", follows);

    let moved = lab.at("west", &["switchover", "--reason", "test"]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    let record = |epoch, active, former, cause| {
        format!(
            r#"{{"epoch":{epoch},"active":"{active}","former":{former},"cause":"{cause}","renewal":9,"positions":{{}},"handover":null}}"#
        )
    };
    etcdctl(&lab, &["put", "mainstay/bank", &record(1, "east", "null", "initial")]);
    for site in SITES {
        soon("it is seen", || bank(&lab, site)["state"] == "regressed");
    }
    assert_eq!(bank(&lab, "east")["serving"], false);
    assert_eq!(bank(&lab, "west")["serving"], false);
    etcdctl(&lab, &["put", "mainstay/bank", &record(2, "west", "\"east\"", "ordered")]);
    soon("west serves", || bank(&lab, "west")["serving"] == true);
    let before = transfers(&lab);
    soon("clients are served", || transfers(&lab) > before);
}
