//! `mainstay agent` and `mainstay gate` as processes: they refuse what cannot work before they do
//! anything, and end when they are told to.

use crate::golden::{compare, mainstay, shown};
use mainstay_testkit::{Signal, signal};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EXAMPLE: &str = include_str!("../../src/config/example.toml");

fn refused(name: &str, arguments: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mainstay.toml"), EXAMPLE).expect("a file");
    let output = mainstay(folder.path()).args(arguments).output().expect("it runs");
    compare(&format!("running/{name}.txt"), &shown(&output, folder.path()));
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "nothing but the configuration is in the folder");
}

#[test]
fn nothing_is_started_before_the_configuration_is_good() {
    refused("agent-without-site", &["agent", "--state", "state"]);
    refused("agent-without-secrets", &["agent", "--site", "east", "--state", "state"]);
    refused("gate-without-certificates", &["gate", "--site", "east", "--state", "state"]);
}

/// Ends the agent also when its test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A witness needs no database: its agent runs with certificates alone.
fn witness(folder: &Path) -> Running {
    let script = include_str!("../../../../docs/errors/MS-CFG-015.md");
    let script: String = script
        .lines()
        .skip_while(|l| *l != "```sh")
        .skip(1)
        .take_while(|l| *l != "```")
        .map(|l| format!("{l}\n"))
        .collect();
    let script = script.replace("east", "witness");
    let tls = folder.join("tls");
    std::fs::create_dir(&tls).expect("a folder");
    let made = Command::new("sh").args(["-ec", &script]).current_dir(&tls).output().expect("sh");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = mainstay_testkit::free_port();
    let text = EXAMPLE.replace("10.0.3.10:7400", &format!("127.0.0.1:{port}"));
    std::fs::write(folder.join("mainstay.toml"), text).expect("a file");
    let mut agent = mainstay(folder);
    agent.args(["agent", "--site", "witness", "--state"]).arg(folder.join("state"));
    Running(agent.stderr(Stdio::piped()).spawn().expect("it runs"))
}

/// Made with the very commands that the error page gives.
#[test]
fn an_agent_ends_on_sigterm_also_when_nobody_reads_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut agent = witness(folder.path());
    let mut log = BufReader::new(agent.0.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("the agent runs") {
        line.clear();
        assert!(log.read_line(&mut line).expect("UTF-8") > 0, "it ended without running");
    }
    drop(log);
    signal(agent.0.id(), Signal::SIGTERM);
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        match agent.0.try_wait().expect("a child") {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            ended => break ended,
        }
    };
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "it ends by itself");
}
