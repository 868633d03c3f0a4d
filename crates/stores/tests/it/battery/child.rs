//! A link in a process of its own, which can be killed as no task can, and whose memory can be
//! measured: this test binary once more, running the same test, told by its environment to play
//! the link instead.

use super::ground::Field;
use mainstay_core::estate::Durability;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use mainstay_core::{ApplicationName, Epoch, Secret, SiteName, StoreName};
use mainstay_stores::postgres::link::{self, LinkSpec};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const TOLD: &str = "MAINSTAY_TEST_LINK";

/// To be called first in a test that starts such processes. Returns in the test itself only.
pub async fn play_the_link_if_told() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let link = link::start(spec(&told));
    // The test's end closes this process's input, also when the test is killed.
    let over = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    over.await.unwrap().unwrap();
    drop(link);
    std::process::exit(0);
}

fn spec(told: &str) -> LinkSpec {
    let words: Vec<_> = told.split('\n').collect();
    let [database, source, target, user, password, tools] = words[..] else {
        panic!("{TOLD} has six lines")
    };
    let endpoint = |port: &str| PostgresEndpoint {
        host: "127.0.0.1".into(),
        port: port.parse().unwrap(),
        database: database.into(),
        user: user.into(),
        password: Some(Secret::new(password)),
        tls: PostgresTls::Disable,
    };
    LinkSpec {
        application: ApplicationName::new(database).unwrap(),
        store: StoreName::new("db").unwrap(),
        from: SiteName::new("east").unwrap(),
        to: SiteName::new("west").unwrap(),
        source: endpoint(source),
        target: endpoint(target),
        epoch: Epoch::new(1),
        durability: Durability::EachCommit,
        spool: std::env::temp_dir(),
        tools: PathBuf::from(tools),
    }
}

pub struct LinkProcess(Child);

impl LinkProcess {
    /// `test` is the full name of the test that calls this.
    pub fn start(test: &str, field: &Field) -> Self {
        let LinkSpec { source, target, tools, .. } = field.spec();
        let password = source.password.as_ref().map_or("", Secret::expose);
        let (from, to) = (source.port, target.port);
        let told = format!(
            "{}\n{from}\n{to}\n{}\n{password}\n{}",
            source.database,
            source.user,
            tools.display()
        );
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).env(TOLD, told);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// The most memory that it ever had, in kB ("VmHWM" of proc(5)).
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for LinkProcess {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill9();
        }
    }
}
