//! DNS servers of a test's own: Knot, BIND and PowerDNS, each with one zone that may be changed by
//! dynamic updates under a key.

mod bind;
mod knot;
mod powerdns;
mod providers;
mod resolver;
mod signed;

pub use providers::{FakeAzureDns, FakeCloudflare, Route53Server};
pub use resolver::dig;
pub use signed::{delv, static_ds};

use crate::parts::dns_folder;
use crate::port::free_port;
use crate::process::send;
use crate::wait::wait_blocking;
use crate::watcher::Watcher;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// The zone that every server holds.
pub const ZONE: &str = "example.org";
/// The key that may change it.
pub const KEY: &str = "mainstay";
/// Its secret, for HMAC-SHA-256; in base64.
pub const SECRET: &str = "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCdzIGtleSE=";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsKind {
    Knot,
    Bind,
    PowerDns,
}

/// A server on a free port of 127.0.0.1, in a temporary folder. It is killed and removed when this
/// is dropped.
pub struct DnsServer {
    kind: DnsKind,
    /// That it answers for; a resolver is asked for it to see whether it is up.
    zone: &'static str,
    port: u16,
    process: Option<Child>,
    // Before the folder, which it too would remove; after the process, so that it has gone.
    _watcher: Watcher,
    folder: TempDir,
}

impl DnsServer {
    /// # Panics
    /// When the servers are missing (saying what to type) or it does not start (with its log).
    pub fn start(kind: DnsKind) -> Self {
        let server = Self::empty(kind, ZONE);
        server.write("zone", &zone());
        match kind {
            DnsKind::Knot => knot::prepare(&server, ""),
            DnsKind::Bind => bind::prepare(&server),
            DnsKind::PowerDns => powerdns::prepare(&server),
        }
        server.begin()
    }

    fn empty(kind: DnsKind, zone: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("mainstay-dns-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let watcher = Watcher::over(folder.path());
        Self { kind, zone, port: free_port(), process: None, _watcher: watcher, folder }
    }

    fn begin(mut self) -> Self {
        self.start_again();
        self
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn kill9(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        send(Pid::from_raw(process.id().cast_signed()), Signal::SIGKILL);
        process.wait().expect("the server is our child");
    }

    /// Takes connections and answers nothing, as when its machine hangs.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        send(Pid::from_raw(process.id().cast_signed()), signal);
    }

    /// Starts it, with its data, and waits until it answers for the zone.
    pub fn start_again(&mut self) {
        let home = self.home().to_owned();
        let mut command = match self.kind {
            DnsKind::Knot => knot::command(self),
            DnsKind::Bind => bind::command(self),
            DnsKind::PowerDns => powerdns::command(self),
        };
        let log = File::options().create(true).append(true).open(home.join("log"));
        let log = log.expect("the log can be opened");
        let same = log.try_clone().expect("a file can be opened twice");
        // In a group of its own, so that an interrupt from the keyboard leaves it to us.
        command.process_group(0).current_dir(&home).stdin(Stdio::null()).stdout(same).stderr(log);
        let process = command.spawn().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        let written = fs::write(home.join("postmaster.pid"), process.id().to_string());
        written.expect("the folder is ours");
        self.process = Some(process);
        // Also where a resolver is not to believe what it is told.
        let answers =
            wait_blocking(PATIENCE, || !self.short(&["+cd", self.zone, "SOA"]).is_empty());
        let log = || fs::read_to_string(home.join("log")).unwrap_or_default();
        assert!(answers, "{:?} does not answer after {PATIENCE:?}; it says:\n{}", self.kind, log());
    }

    /// What `dig` sees there: the records' data, sorted. Empty also while nothing answers.
    pub fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        self.short(&[name, kind])
    }

    fn short(&self, question: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let arguments = ["@127.0.0.1", "-p", &port, "+short", "+time=1", "+tries=1"];
        let output = program("usr/bin/dig").args(arguments).args(question).output();
        let output = output.expect("dig starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Changes the zone behind Mainstay's back, as a person with the key would: one line each of
    /// nsupdate(1).
    ///
    /// # Panics
    /// When the server refuses.
    pub fn nsupdate(&self, lines: &[&str]) {
        let script = format!("server 127.0.0.1 {}\n{}\nsend\n", self.port, lines.join("\n"));
        self.write("update", &script);
        let key = format!("hmac-sha256:{KEY}:{SECRET}");
        run(program("usr/bin/nsupdate").args(["-y", &key]).arg(self.home().join("update")));
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home().join(name), text).expect("the folder is ours");
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn zone() -> String {
    let lines = [
        "$TTL 300",
        "@ IN SOA ns1.example.org. hostmaster.example.org. 1 3600 900 86400 60",
        "@ IN NS ns1.example.org.",
        "ns1 IN A 127.0.0.1",
        "other IN A 192.0.2.99",
        "",
    ];
    lines.join("\n")
}

/// A program of the servers' own packages, with the libraries that came with them.
fn program(path: &str) -> Command {
    let folder = dns_folder();
    let mut command = Command::new(folder.join(path));
    command.env("LD_LIBRARY_PATH", libraries(&folder));
    command
}

/// Debian keeps libraries in a folder named after the machine.
fn libraries(folder: &Path) -> PathBuf {
    folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {errors}", output.status);
}
