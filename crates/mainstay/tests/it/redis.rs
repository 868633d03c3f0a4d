//! An application whose store is a Redis server at each of two sites, by the real processes: agents,
//! gates and watchdogs. What was acknowledged is what redis-cli printed, and what a server has is
//! asked of it by a client of the tests' own.

mod comparing;

use crate::golden::mainstay;
use crate::people::certificates::Authority;
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, Reply, free_port, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const LONG: Duration = Duration::from_secs(60);
const SITES: [&str; 2] = ["east", "west"];
const APP: &str = "app off >word ~* &* +@all -@admin -@dangerous";
/// As the guide has it, with what these tests ask besides.
pub const READER: &str = "reader off >word ~* &* -@all +@read +@connection +@transaction -@admin \
                          -@dangerous -pfcount +time";

pub struct Sites {
    // Ended before the folder goes.
    processes: BTreeMap<String, Child>,
    pub servers: BTreeMap<&'static str, RedisServer>,
    gates: BTreeMap<&'static str, u16>,
    /// Where those connect that only read.
    pub reads: BTreeMap<&'static str, u16>,
    folder: TempDir,
}

impl Sites {
    /// With an application that runs at `east`.
    fn start(kinds: [RedisKind; 2]) -> Self {
        Self::with(kinds, |east| east)
    }

    /// West reaches east's server where `behind` says that it is, of the port where it is.
    pub fn with(kinds: [RedisKind; 2], behind: impl FnOnce(u16) -> u16) -> Self {
        let folder = tempfile::Builder::new().prefix("rd-").tempdir_in("/tmp").expect("a folder");
        let server = |kind| {
            let options = RedisOptions::of(kind).durable().password("secret");
            RedisServer::start(options.user(APP).user(READER))
        };
        let servers: BTreeMap<_, _> = SITES.into_iter().zip(kinds.map(server)).collect();
        let ports = || SITES.into_iter().map(|site| (site, free_port())).collect();
        let (gates, reads) = (ports(), ports());
        let behind = behind(servers["east"].port());
        let mut sites = Self { processes: BTreeMap::new(), servers, gates, reads, folder };
        sites.configure(behind);
        for site in ["witness", "east", "west"] {
            sites.start_site(site);
        }
        sites
    }

    fn configure(&self, behind: u16) {
        let tls = self.folder.path().join("tls");
        std::fs::create_dir(&tls).expect("a folder");
        for site in ["east", "west", "witness"] {
            let state = self.folder.path().join(format!("{site}-state"));
            std::fs::create_dir(state).expect("a folder");
        }
        let authority = Authority::new("test");
        std::fs::write(tls.join("ca.pem"), authority.pem()).expect("a file");
        let mut text =
            String::from("[coordinator]\nsite = \"witness\"\n[tls]\ndirectory = \"tls\"\n");
        for site in ["east", "west", "witness"] {
            authority.issue(site, &tls);
            let (port, witness) = (free_port(), site == "witness");
            text += &format!("[sites.{site}]\nagent = \"127.0.0.1:{port}\"\nwitness = {witness}\n");
        }
        text += "[applications.shop]\nhome = \"east\"\nfailover = \"automatic\"\nlease = \"3s\"\n\
                 cool-down = \"1s\"\n[applications.shop.objectives]\nrto = \"30s\"\nrpo = \"5s\"\n\
                 [applications.shop.stores.cache]\nkind = \"redis\"\nusers = [\"app\"]\n\
                 readers = [\"reader\"]\nmax-lag = \"5s\"\ncompare-every = \"1m\"\n";
        for site in SITES {
            let (server, gate, peer) = (self.servers[site].port(), self.gates[site], free_port());
            let reads = self.reads[site];
            text += &format!(
                "[applications.shop.stores.cache.endpoints.{site}]\n\
                 address = \"127.0.0.1:{server}\"\nuser = \"default\"\n\
                 password = \"env:REDIS_PASSWORD\"\ntls = \"disable\"\n\
                 [applications.shop.gates.{site}]\npeer = \"127.0.0.1:{peer}\"\n\
                 [applications.shop.gates.{site}.stores]\ncache = \"127.0.0.1:{gate}\"\n\
                 [applications.shop.gates.{site}.reads]\ncache = \"127.0.0.1:{reads}\"\n"
            );
        }
        let east = |port: u16| format!("address = \"127.0.0.1:{port}\"\nuser = \"default\"");
        let wests = text.replace(&east(self.servers["east"].port()), &east(behind));
        for (site, text) in [("witness", &text), ("east", &text), ("west", &wests)] {
            let file = self.folder.path().join(format!("{site}.toml"));
            std::fs::write(file, text).expect("a file");
        }
    }

    pub fn command(&self, site: &str, arguments: &[&str]) -> Command {
        let mut command = mainstay(self.folder.path());
        command.args(["--config", &format!("{site}.toml")]);
        command.env("REDIS_PASSWORD", "secret").env("PATH", "").args(["--site", site, "--state"]);
        command.arg(self.folder.path().join(format!("{site}-state"))).args(arguments);
        command
    }

    pub fn start_site(&mut self, site: &str) {
        let kinds: &[&str] = match site {
            "witness" => &["agent"],
            _ => &["agent", "gate", "watchdog"],
        };
        for kind in kinds {
            let name = format!("{site}-{kind}");
            let log = self.folder.path().join(format!("{name}.log"));
            let log = File::options().create(true).append(true).open(log).expect("a log");
            let mut command = self.command(site, &[kind]);
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
            self.processes.insert(name, child.expect("it runs"));
        }
    }

    /// All of a site's processes, its server too.
    pub fn kill_site(&mut self, site: &str) {
        let ours = |name: &String| name.starts_with(site);
        let names: Vec<String> = self.processes.keys().filter(|name| ours(name)).cloned().collect();
        for name in names {
            let mut child = self.processes.remove(&name).expect("it is there");
            child.kill().expect("it is ours");
            child.wait().expect("it ended");
        }
        self.servers.get_mut(site).expect("it has one").kill9();
    }

    pub fn status(&self, site: &str) -> Value {
        let output = self.command(site, &["status", "--output", "json"]).output();
        let output = output.expect("it runs");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// A command of the application through a site's gate: what redis-cli printed, once it was
    /// acknowledged.
    pub fn through(&self, gate: &str, command: &[&str]) -> Option<String> {
        let mut cli = self.servers["east"].cli();
        cli.args(["-p", &self.gates[gate].to_string(), "--user", "app", "--pass", "word"]);
        let output = cli.args(["--no-auth-warning", "-e"]).args(command).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    }

    pub async fn must(&self, gate: &str, command: &[&str]) -> String {
        let mut said = None;
        wait_for("the gate serves", LONG, async || {
            said = self.through(gate, command);
            said.is_some()
        })
        .await;
        said.expect("it was said")
    }

    /// What a server itself has, past every gate.
    pub fn at(&self, site: &str, command: &[&str]) -> Reply {
        self.servers[site].client().run(command)
    }

    pub async fn arrives(&self, site: &str, key: &str, value: &str) {
        let wanted = Reply::Text(value.into());
        wait_for("a key arrives", LONG, async || self.at(site, &["GET", key]) == wanted).await;
    }

    pub fn run(&self, site: &str, arguments: &[&str]) -> String {
        let output = self.command(site, arguments).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{told}");
        said
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for log in ["east-agent", "west-agent", "east-gate", "west-gate"] {
                let text = std::fs::read_to_string(self.folder.path().join(format!("{log}.log")));
                let text = text.unwrap_or_default();
                let from = text.len().saturating_sub(4000);
                eprintln!("{log}:\n{}", text.get(from..).unwrap_or(&text));
            }
        }
    }
}

#[tokio::test]
async fn a_redis_store_is_switched_over_without_loss_failed_over_and_comes_back_with_a_copy_kept() {
    let mut sites = Sites::start([RedisKind::Redis7, RedisKind::Redis7]);
    assert_eq!(sites.must("east", &["INCR", "counter"]).await, "1");
    sites.must("west", &["SET", "session", "ana"]).await;
    assert_eq!(sites.at("east", &["GET", "session"]), Reply::Text("ana".into()), "by west's gate");
    sites.arrives("west", "session", "ana").await;
    let direct = sites.servers["west"].client().ask(&["AUTH", "app", "word"]);
    assert!(matches!(direct, Reply::Error(_)), "a standby lets the application in: {direct:?}");

    let mut acknowledged = 1;
    wait_for("it may be switched over", LONG, async || {
        let said = sites.through("east", &["INCR", "counter"]).and_then(|it| it.parse().ok());
        acknowledged = said.unwrap_or(acknowledged);
        let moved = sites.command("east", &["switchover", "--to", "west"]).output();
        moved.expect("it runs").status.success()
    })
    .await;
    let next: i64 = sites.must("east", &["INCR", "counter"]).await.parse().expect("a number");
    assert_eq!(next, acknowledged + 1, "each write once, by the other site now");
    assert_eq!(sites.at("west", &["GET", "counter"]).int(), next);
    let direct = sites.servers["east"].client().ask(&["AUTH", "app", "word"]);
    assert!(matches!(direct, Reply::Error(_)), "east is not fenced: {direct:?}");
    sites.arrives("east", "counter", &next.to_string()).await;

    wait_for("east is back and may take over", LONG, async || {
        sites.status("east")["applications"][0]["state"] == "standby"
    })
    .await;
    let back = &sites.status("east")["applications"][0];
    assert_eq!(back["equality"][0]["equality"], "equal", "it was proved: {back}");
    sites.kill_site("west");
    assert_eq!(sites.must("east", &["INCR", "counter"]).await, (next + 1).to_string());

    let west = sites.servers.get_mut("west").expect("it has one");
    west.start_again();
    west.client().run(&["SET", "only-west", "never-sent"]);
    sites.start_site("west");
    sites.arrives("west", "counter", &(next + 1).to_string()).await;
    assert_eq!(sites.at("west", &["GET", "only-west"]), Reply::Nil);
    let kept = std::fs::read_dir(sites.folder.path().join("west-state/salvage")).expect("salvage");
    let kept: Vec<_> = kept.map(|entry| entry.expect("an entry").path()).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let kept = std::fs::read(kept).expect("the copy");
    assert!(kept.windows(9).any(|bytes| bytes == b"only-west"), "what only west had is kept");
    let direct = sites.servers["west"].client().ask(&["AUTH", "app", "word"]);
    assert!(matches!(direct, Reply::Error(_)), "it comes back fenced: {direct:?}");
    let told = sites.run("west", &["status"]);
    assert!(told.contains("cache"), "{told}");
    sites.run("west", &["ledger", "verify"]);
}
