//! A lab that is up, for tests of what its agents do when they are told to: two sites with real
//! databases, a witness, and clients that transfer money meanwhile. Gone when the test ends.

use crate::golden::mainstay;
use mainstay_testkit::{Signal, postgres_folder, signal};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DYING: Duration = Duration::from_secs(60);

pub struct UpLab {
    folder: TempDir,
    root: PathBuf,
    plan: Value,
}

impl UpLab {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further options of `lab up`.
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("up-").tempdir_in("/tmp").expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), mode).expect("servers reach their folders");
        let mut lab = Self { folder, root: PathBuf::new(), plan: Value::Null };
        let up = lab.run(&[&["lab", "up", "--accounts", "1000", "--rate", "50"], options].concat());
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let made = std::fs::read_dir(lab.folder.path()).expect("a folder");
        let mut made = made.map(|entry| entry.expect("an entry").path());
        lab.root = made.find(|path| path.is_dir()).expect("the lab's folder");
        let plan = std::fs::read(lab.root.join("lab.json")).expect("the lab's plan");
        lab.plan = serde_json::from_slice(&plan).expect("JSON");
        lab
    }

    /// The binary, of which this is the only lab.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = mainstay(self.folder.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("TMPDIR", self.folder.path()).env("PATH", path).args(arguments);
        if let Some(parts) = std::env::var_os("MAINSTAY_PARTS") {
            command.env("MAINSTAY_PARTS", parts);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// A command that is not waited for.
    pub fn start_command(&self, arguments: &[&str]) -> std::process::Child {
        self.command(arguments).spawn().expect("it runs")
    }

    /// A command for the agent of a site.
    pub fn at(&self, site: &str, arguments: &[&str]) -> Output {
        let state = self.root.join("sites").join(site).join("state").display().to_string();
        self.run(&[&["--state", &state], arguments].concat())
    }

    /// What a command that must succeed writes to standard output.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The JSON that a command writes, whatever its exit status.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|why| {
            panic!("{arguments:?}: {why}: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// One of PostgreSQL's own tools at a site's database, past every gate, as Mainstay itself.
    pub fn tool(&self, tool: &str, site: &str) -> Command {
        self.tool_as(tool, site, "mainstay")
    }

    /// The same as another role.
    pub fn tool_as(&self, tool: &str, site: &str, role: &str) -> Command {
        let address = self.plan["sites"][site]["data"]["postgres"].as_str().expect("an address");
        let (host, port) = address.rsplit_once(':').expect("a port");
        let parts = postgres_folder();
        let mut command = Command::new(parts.join("bin").join(tool));
        command.env("LD_LIBRARY_PATH", parts.join("lib"));
        command.env("PGHOST", host).env("PGPORT", port).env("PGDATABASE", "bank");
        // The schema with the name of its user comes first otherwise.
        command.env("PGOPTIONS", "-c search_path=public").env("PGUSER", role);
        command.env("PGPASSWORD", self.password(role));
        command
    }

    pub fn password(&self, role: &str) -> String {
        let secrets = std::fs::read(self.root.join("secrets.json")).expect("the lab's passwords");
        let secrets: Value = serde_json::from_slice(&secrets).expect("JSON");
        secrets[role].as_str().expect("the role's password").to_owned()
    }

    /// As it stands in the lab's plan, in quotes.
    pub fn address(&self, site: &str, of: &str) -> Value {
        self.plan["sites"][site]["data"][of].clone()
    }

    /// Every row as psql writes it, without headings.
    pub fn sql(&self, site: &str, sql: &str) -> String {
        let mut psql = self.tool("psql", site);
        let output = psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        let output = output.expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn pid(&self, process: &str) -> u32 {
        let file = self.root.join("pids").join(format!("{process}.pid"));
        let text = std::fs::read_to_string(file).expect("a pid file");
        text.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    /// SIGKILL to a site's agent. Returns when all its threads are gone, and with them its sockets:
    /// then it can be started again.
    pub fn kill_agent(&self, site: &str) {
        let pid = self.pid(&format!("{site}-agent"));
        signal(pid, Signal::SIGKILL);
        let began = Instant::now();
        let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let waited_for = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(") Z ") && threads() <= 1
        };
        while threads() > 0 && !waited_for() {
            assert!(began.elapsed() < DYING, "{site}'s agent does not die");
            std::thread::yield_now();
        }
    }

    /// Where logs and sites are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for UpLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["east-agent.log", "west-agent.log"] {
                let text = std::fs::read_to_string(self.root.join("logs").join(log));
                let text = text.unwrap_or_default();
                let states: Vec<_> = text.lines().filter(|line| line.contains(" state ")).collect();
                eprintln!("{log}:\n{}", states.join("\n"));
            }
        }
        let _ = self.command(&["lab", "down"]).output();
    }
}
