//! One agent with people: a witness's, which needs no database, as a process of its own.

use super::certificates::{Authority, Files};
use crate::golden::mainstay;
use mainstay_core::people::Role;
use mainstay_testkit::{free_port, wait_for};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../../src/config/example.toml");
const LONG: Duration = Duration::from_secs(120);

pub struct Office {
    pub folder: TempDir,
    pub people: Authority,
    pub sites: Authority,
    /// Where people come, and where the other agents do.
    pub door: u16,
    pub peers: u16,
    agent: Child,
}

/// Each role has a person of that name, with a token and a certificate.
pub fn token(role: &str) -> String {
    format!("canary-token-of-{role}-{:0>32}", role.len())
}

impl Office {
    pub async fn open() -> Self {
        Self::open_with(|text| text).await
    }

    /// With another configuration.
    pub async fn open_with(edit: impl Fn(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = folder.path().join("tls");
        std::fs::create_dir(&tls).expect("a folder");
        let [people, sites] = ["people", "sites"].map(Authority::new);
        std::fs::write(tls.join("ca.pem"), sites.pem()).expect("a file");
        std::fs::write(tls.join("people.pem"), people.pem()).expect("a file");
        sites.issue("witness", &tls);
        let (door, peers) = (free_port(), free_port());
        write_configuration(folder.path(), door, peers, edit);
        let log = File::create(folder.path().join("agent.log")).expect("a file");
        let mut command = mainstay(folder.path());
        command.args(["agent", "--site", "witness", "--state"]).arg(folder.path().join("state"));
        let agent = command.stderr(log).stdout(Stdio::null()).spawn().expect("it runs");
        let office = Self { folder, people, sites, door, peers, agent };
        wait_for("the agent answers", LONG, async || office.here(&["status"]).status.success())
            .await;
        office
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn tls(&self, file: &str) -> PathBuf {
        self.path().join("tls").join(file)
    }

    /// On the machine, as the agent's owner.
    pub fn here(&self, arguments: &[&str]) -> Output {
        let mut command = mainstay(self.path());
        command.arg("--state").arg(self.path().join("state")).args(arguments);
        command.output().expect("it runs")
    }

    /// From elsewhere, with these options that say who asks.
    pub fn elsewhere(&self, shown: &[&str], arguments: &[&str]) -> Output {
        let mut command = mainstay(self.path());
        command.args(["--agent", &format!("https://127.0.0.1:{}", self.door)]);
        command.args(["--site", "witness", "--authority"]).arg(self.tls("ca.pem"));
        command.args(shown).args(arguments).output().expect("it runs")
    }

    pub fn with_token(&self, file: &Path, arguments: &[&str]) -> Output {
        self.elsewhere(&["--token-file", text(file)], arguments)
    }

    pub fn with_certificate(&self, files: &Files, arguments: &[&str]) -> Output {
        let shown = ["--certificate", text(&files.certificate), "--key", text(&files.key)];
        self.elsewhere(&shown, arguments)
    }

    pub fn token_file(&self, role: Role) -> PathBuf {
        self.path().join(format!("{role}.token"))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("agent.log")).expect("a log")
    }

    /// Waits until the log from this byte on is as asked: the agent writes of a connection that it
    /// refused after the client has seen its end.
    pub async fn logs(&self, what: &str, from: usize, asked: impl Fn(&str) -> bool) {
        wait_for(what, LONG, async || asked(&self.log()[from..])).await;
    }

    pub fn pid(&self) -> u32 {
        self.agent.id()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn write_configuration(folder: &Path, door: u16, peers: u16, edit: impl Fn(String) -> String) {
    let before_people = EXAMPLE.split("# Ana asks").next().expect("a beginning");
    let witness = format!("agent = \"127.0.0.1:{peers}\"\npeople = \"127.0.0.1:{door}\"");
    let mut text = before_people.replace("agent = \"10.0.3.10:7400\"", &witness);
    text += "[people]\nauthority = \"tls/people.pem\"\n";
    for role in Role::ALL {
        std::fs::write(folder.join(format!("{role}.token")), token(role.name())).expect("a file");
        text += &format!("[people.{role}]\nrole = \"{role}\"\ntoken = \"file:{role}.token\"\n");
    }
    std::fs::write(folder.join("mainstay.toml"), edit(text)).expect("a file");
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The code of the refusal that a command ends with.
pub fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let code = said.split("MS-").nth(1).and_then(|rest| rest.split(':').next());
    code.map_or_else(|| format!("none: {said}"), |code| format!("MS-{code}"))
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)))
}
