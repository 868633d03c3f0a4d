//! Providers of DNS with an API: Route 53 as moto plays it, and fakes of Cloudflare and of Azure DNS.
//! Each holds `example.org`.

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
        let token = ["--header", token.as_str()].into_iter();
        curl(token.chain(options.iter().copied()).chain([url.as_str()]))
    }
}

/// The token of a person who looks, and changes what stands there.
const PERSON: &str = "canary-of-a-persons-token";

/// Azure DNS and the services that give out tokens for it as their documentation says it, in Python:
/// there are no real ones to be had.
pub struct FakeAzureDns {
    folder: TempDir,
    port: u16,
    _process: Process,
}

impl FakeAzureDns {
    pub const SUBSCRIPTION: &str = "00000000-1111-2222-3333-444444444444";
    pub const GROUP: &str = "dns";
    pub const TENANT: &str = "55555555-6666-7777-8888-999999999999";
    pub const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    pub const SECRET: &str = "canary-of-the-azure secret+&=%";
    /// The one identity of the machine.
    pub const MACHINE: &str = "bbbbbbbb-cccc-dddd-eeee-ffffffffffff";

    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        answer(folder.path(), "ok");
        set(folder.path(), "lifetime", "3600");
        set(folder.path(), "ended", "0");
        let mut command = python(include_str!("azure.py"));
        command.arg(folder.path()).arg(port.to_string());
        command.args([Self::CLIENT, Self::SECRET, PERSON]);
        let process = Process::start(&mut command, port);
        Self { folder, port, _process: process }
    }

    /// Of the API, of the login service and of the metadata service.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From the next request on: `ok`, `throttle`, `fail`, `no-address` (what changes addresses
    /// fails) or `lost` (changes are made, and nothing is answered).
    pub fn answer(&self, mode: &str) {
        answer(self.folder.path(), mode);
    }

    /// How many seconds the tokens are good that are given out from now on.
    pub fn tokens_last(&self, seconds: u32) {
        set(self.folder.path(), "lifetime", &seconds.to_string());
    }

    /// Those that were given are refused from now on.
    pub fn tokens_end(&self) {
        set(self.folder.path(), "ended", &self.tokens_given().len().to_string());
    }

    /// To whom tokens were given, `client` or `machine`, one line each.
    pub fn tokens_given(&self) -> Vec<Json> {
        self.lines("tokens.jsonl")
    }

    /// What was changed, and how many addresses the name had then: `change` and `addresses`.
    pub fn changes(&self) -> Vec<Json> {
        self.lines("changes.jsonl")
    }

    /// A set of records, or the refusal: `A/bank`.
    pub fn set(&self, path: &str) -> Json {
        self.curl(&[], path)
    }

    /// Makes it so whatever stands there, as a person could.
    pub fn put(&self, path: &str, body: &str) -> Json {
        self.curl(&["--request", "PUT", "--data", body], path)
    }

    pub fn delete(&self, path: &str) -> Json {
        self.curl(&["--request", "DELETE"], path)
    }

    fn lines(&self, file: &str) -> Vec<Json> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn curl(&self, options: &[&str], path: &str) -> Json {
        let url = format!(
            "{}/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/dnsZones/\
             example.org/{path}?api-version=2018-05-01",
            self.url(),
            Self::SUBSCRIPTION,
            Self::GROUP,
        );
        let shown = format!("Authorization: Bearer {PERSON}");
        curl(["--header", &shown].into_iter().chain(options.iter().copied()).chain([url.as_str()]))
    }
}

fn curl<'a>(arguments: impl Iterator<Item = &'a str>) -> String {
    let mut command = Command::new("curl");
    let output = command.args(["--silent", "--show-error"]).args(arguments).output();
    let output = output.expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn answer(folder: &Path, mode: &str) {
    set(folder, "mode", mode);
}

fn set(folder: &Path, file: &str, text: &str) {
    let next = folder.join(format!("{file}.next"));
    std::fs::write(&next, text).expect("a file");
    std::fs::rename(next, folder.join(file)).expect("a file");
}
