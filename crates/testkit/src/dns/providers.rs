//! Providers of DNS with an API: Route 53 as moto plays it, and a fake of Cloudflare. Each holds
//! `example.org`.

use crate::parts::moto_folder;
use crate::port::free_port;
use crate::receivers::{Process, python};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Whatever stands there, as the provider's own kind of JSON.
type Json = String;

/// Moto, held to what Route 53's documentation says. What stands there is read, and changed behind
/// Mainstay's back, with Amazon's own client.
pub struct Route53Server {
    folder: TempDir,
    port: u16,
    _process: Process,
    name_servers: Json,
}

impl Route53Server {
    pub const KEY: &str = "AKIAMAINSTAYTEST";
    pub const SECRET: &str = "canary-of-the-aws-secret-key";

    /// # Panics
    /// When moto is missing (saying what to type) or does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        answer(folder.path(), "ok");
        let mut command = python(include_str!("moto.py"));
        command.env("PYTHONPATH", moto_folder()).arg(folder.path()).arg(port.to_string());
        command.args([Self::KEY, Self::SECRET]).stderr(Stdio::null());
        let process = Process::start(&mut command, port);
        let name_servers = boto(port, "create", "").expect("a zone is made");
        Self { folder, port, _process: process, name_servers }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A JSON list of the servers that the zone is delegated to.
    pub fn name_servers(&self) -> &str {
        &self.name_servers
    }

    /// `ok`, `throttle` or `fail`, from the next request on; also for whoever reads.
    pub fn answer(&self, mode: &str) {
        answer(self.folder.path(), mode);
    }

    /// The sets of records in the zone, but for its own NS and SOA.
    pub fn sets(&self) -> Json {
        boto(self.port, "list", "").expect("the zone can be read")
    }

    /// A list of changes, as `ChangeResourceRecordSets` takes it.
    ///
    /// # Panics
    /// When it is refused.
    pub fn change(&self, changes: &str) {
        boto(self.port, "change", changes).expect("the change is made");
    }

    /// How many changes were asked for so far.
    pub fn changes_asked(&self) -> usize {
        let text = std::fs::read_to_string(self.folder.path().join("requests.jsonl"));
        text.unwrap_or_default().lines().filter(|line| line.contains("\"POST\"")).count()
    }
}

fn boto(port: u16, command: &str, argument: &str) -> Result<Json, String> {
    let url = format!("http://127.0.0.1:{port}");
    let key = [Route53Server::KEY, Route53Server::SECRET];
    let mut run = python(include_str!("boto.py"));
    run.env("PYTHONPATH", moto_folder()).args([&url]).args(key).args([command, argument]);
    let output = run.output().map_err(|why| why.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Cloudflare's API as its documentation says it, in Python: there is no real one to be had.
pub struct FakeCloudflare {
    folder: TempDir,
    port: u16,
    _process: Process,
}

impl FakeCloudflare {
    pub const TOKEN: &str = "canary-of-the-cloudflare-token";

    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        answer(folder.path(), "ok");
        let mut command = python(include_str!("cloudflare.py"));
        command.arg(folder.path()).arg(port.to_string()).arg(Self::TOKEN);
        let process = Process::start(&mut command, port);
        Self { folder, port, _process: process }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/client/v4", self.port)
    }

    /// `ok`, `throttle` or `fail`, from the next request on.
    pub fn answer(&self, mode: &str) {
        answer(self.folder.path(), mode);
    }

    /// A page of the records of that name.
    pub fn records(&self, name: &str) -> Json {
        self.curl(&[], &format!("?name.exact={name}"))
    }

    /// A batch of changes, as a person with the token would make it.
    pub fn batch(&self, body: &str) -> Json {
        self.curl(&["--data", body], "/batch")
    }

    fn curl(&self, options: &[&str], rest: &str) -> Json {
        let zone = "023e105f4ecef8ad9ca31a8372d0c353";
        let url = format!("{}/zones/{zone}/dns_records{rest}", self.url());
        let token = format!("Authorization: Bearer {}", Self::TOKEN);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--header", &token]).args(options).arg(url);
        let output = command.output().expect("curl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn answer(folder: &Path, mode: &str) {
    let next = folder.join("mode.next");
    std::fs::write(&next, mode).expect("a file");
    std::fs::rename(next, folder.join("mode")).expect("a file");
}
