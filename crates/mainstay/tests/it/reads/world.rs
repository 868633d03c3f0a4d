//! An application with a PostgreSQL database at each of two sites and addresses for reads, by the
//! real processes. Whoever reads, writes or looks is psql; which server answered is what it says.

use crate::golden::mainstay;
use crate::people::certificates::Authority;
use mainstay_testkit::{Options, Postgres, free_port, postgres_folder, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const LONG: Duration = Duration::from_secs(120);
pub const SITES: [&str; 2] = ["east", "west"];
/// What the clock row says, who says so, and when on the machine's clock the statement began.
pub const READ: &str = "SELECT n, inet_server_port(), pg_backend_pid(), \
                        extract(epoch FROM statement_timestamp()), \
                        (SELECT count(*) FROM clock WHERE id = 99) FROM clock WHERE id = 1";

pub struct World {
    // Ended before the folder goes.
    processes: BTreeMap<String, Child>,
    pub servers: BTreeMap<&'static str, Postgres>,
    pub gates: BTreeMap<&'static str, u16>,
    pub reads: BTreeMap<&'static str, u16>,
    folder: TempDir,
}

impl World {
    /// It runs at `east`, and readers of `west` are answered by west itself.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("rr-").tempdir_in("/tmp").expect("a folder");
        let ports = || SITES.into_iter().map(|site| (site, free_port())).collect();
        let mut servers = BTreeMap::new();
        for site in SITES {
            let server = Postgres::start(Options::default().fsync(false));
            let admin = server.create_database("bank").await;
            let made = admin.batch_execute(
                "CREATE ROLE app LOGIN PASSWORD 'word'; CREATE ROLE reader LOGIN PASSWORD 'word'",
            );
            made.await.expect("roles");
            if site == "east" {
                let tables = admin.batch_execute(
                    "CREATE TABLE clock (id int PRIMARY KEY, n bigint NOT NULL);
                     INSERT INTO clock VALUES (1, 0);
                     GRANT SELECT, INSERT, UPDATE, DELETE ON clock TO app;
                     GRANT SELECT ON clock TO reader",
                );
                tables.await.expect("a table");
            }
            servers.insert(site, server);
        }
        let (gates, reads) = (ports(), ports());
        let mut world = Self { processes: BTreeMap::new(), servers, gates, reads, folder };
        world.configure();
        for site in ["witness", "east", "west"] {
            world.start_site(site);
        }
        wait_for("the application writes", LONG, async || world.write().is_some()).await;
        world.answered_by("west", "west").await;
        world
    }

    fn configure(&self) {
        let tls = self.folder.path().join("tls");
        std::fs::create_dir(&tls).expect("a folder");
        for site in ["east", "west", "witness"] {
            std::fs::create_dir(self.folder.path().join(format!("{site}-state")))
                .expect("a folder");
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
        text += "[applications.bank]\nhome = \"east\"\nfailover = \"automatic\"\n\
                 cool-down = \"1s\"\n[applications.bank.objectives]\nrto = \"30s\"\nrpo = \"5s\"\n\
                 [applications.bank.stores.db]\nkind = \"postgres\"\nroles = [\"app\"]\n\
                 readers = [\"reader\"]\nmax-lag = \"10s\"\n";
        for site in SITES {
            let (server, peer) = (self.servers[site].port(), free_port());
            let (gate, reads) = (self.gates[site], self.reads[site]);
            let endpoint = self.servers[site].endpoint("bank");
            text += &format!(
                "[applications.bank.stores.db.endpoints.{site}]\n\
                 address = \"127.0.0.1:{server}\"\ndatabase = \"bank\"\nuser = \"{}\"\n\
                 password = \"env:DB_PASSWORD\"\ntls = \"disable\"\n\
                 [applications.bank.gates.{site}]\npeer = \"127.0.0.1:{peer}\"\n\
                 [applications.bank.gates.{site}.stores]\ndb = \"127.0.0.1:{gate}\"\n\
                 [applications.bank.gates.{site}.reads]\ndb = \"127.0.0.1:{reads}\"\n",
                endpoint.user,
            );
        }
        std::fs::write(self.folder.path().join("mainstay.toml"), text).expect("a file");
    }

    fn command(&self, site: &str, arguments: &[&str]) -> Command {
        let password = self.servers["east"].endpoint("bank").password.expect("one");
        let parts = postgres_folder();
        let mut command = mainstay(self.folder.path());
        command.env("DB_PASSWORD", password.expose()).env("LD_LIBRARY_PATH", parts.join("lib"));
        command.env("PATH", parts.join("bin")).args(["--site", site, "--state"]);
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

    pub fn pid(&self, process: &str) -> u32 {
        self.processes[process].id()
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

    pub fn run(&self, site: &str, arguments: &[&str]) -> Output {
        self.command(site, arguments).output().expect("it runs")
    }

    pub fn status(&self, site: &str) -> Value {
        let output = self.run(site, &["status", "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub fn state(&self, site: &str) -> String {
        self.status(site)["applications"][0]["state"].as_str().unwrap_or_default().to_owned()
    }

    /// psql as this role, at whatever listens there.
    pub fn psql(&self, role: &str, port: u16) -> Command {
        let mut psql = self.servers["east"].bin("psql");
        psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", role);
        psql.env("PGPASSWORD", "word").env("PGDATABASE", "bank").env("PGCONNECT_TIMEOUT", "30");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        psql
    }

    pub fn says(&self, role: &str, port: u16, sql: &str) -> Output {
        self.psql(role, port).args(["-c", sql]).output().expect("psql runs")
    }

    /// What was written and acknowledged, through east's gate.
    pub fn write(&self) -> Option<u64> {
        let sql = "UPDATE clock SET n = n + 1 WHERE id = 1 RETURNING n";
        let output = self.says("app", self.gates["east"], sql);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then(|| said.parse().expect("a number"))
    }

    /// What a new reader at this site's address is answered.
    pub fn read(&self, site: &str) -> Option<Answer> {
        let output = self.says("reader", self.reads[site], READ);
        Answer::parse(&String::from_utf8_lossy(&output.stdout))
    }

    pub fn is_by(&self, answer: &Answer, site: &str) -> bool {
        answer.port == self.servers[site].port()
    }

    pub async fn answered_by(&self, gate: &str, site: &str) {
        let what = format!("readers at {gate} are answered by {site}");
        wait_for(&what, LONG, async || {
            self.read(gate).is_some_and(|answer| self.is_by(&answer, site))
        })
        .await;
    }
}

/// What one reader was told once.
#[derive(Debug, Clone)]
pub struct Answer {
    pub n: u64,
    pub port: u16,
    pub backend: u32,
    /// Seconds since the Unix epoch, on this machine.
    pub began: f64,
    /// Rows that only a lost site had.
    pub lost: u64,
}

impl Answer {
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim().split('|');
        Some(Self {
            n: fields.next()?.parse().ok()?,
            port: fields.next()?.parse().ok()?,
            backend: fields.next()?.parse().ok()?,
            began: fields.next()?.parse().ok()?,
            lost: fields.next()?.parse().ok()?,
        })
    }
}

impl Drop for World {
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
