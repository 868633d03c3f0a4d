//! A cluster of three etcd members of a test's own.

use crate::parts::etcd_folder;
use crate::port::free_port;
use crate::process::send;
use crate::wait::wait_blocking;
use crate::watcher::Watcher;
use mainstay_core::estate::{Etcd, EtcdEndpoint};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// How a test's cluster differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct EtcdOptions {
    /// Certificate, key and authority of the members; they ask clients for a certificate too.
    pub tls: Option<[PathBuf; 3]>,
    /// Further arguments of each member.
    pub arguments: Vec<String>,
}

/// Three members on free ports of 127.0.0.1, in a temporary folder. They are killed and removed
/// when this is dropped.
pub struct EtcdCluster {
    options: EtcdOptions,
    members: Vec<Member>,
    /// Rises with each restore, so that old and new members never talk to each other.
    token: u32,
    // Before the folder, which it too would remove; after the members, so that they have gone.
    _watcher: Watcher,
    folder: TempDir,
}

struct Member {
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl EtcdCluster {
    /// # Panics
    /// When etcd is missing (saying what to type) or does not start (with its log).
    pub fn start(options: EtcdOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("mainstay-etcd-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let member = || Member { client: free_port(), peer: free_port(), process: None };
        let members = vec![member(), member(), member()];
        let watcher = Watcher::over(folder.path());
        let mut cluster = Self { options, members, token: 1, _watcher: watcher, folder };
        (0..3).for_each(|index| cluster.spawn(index));
        cluster.wait_until_all_work();
        cluster
    }

    /// As an agent is told of it.
    pub fn estate(&self) -> Etcd {
        let endpoint = |member: &Member| EtcdEndpoint {
            encrypted: self.options.tls.is_some(),
            host: "127.0.0.1".to_owned(),
            port: member.client,
        };
        Etcd {
            endpoints: self.members.iter().map(endpoint).collect(),
            prefix: "mainstay".to_owned(),
            authority: self.options.tls.as_ref().map(|[_, _, authority]| authority.clone()),
            identity: None,
            user: None,
        }
    }

    /// The member that leads, by its own word.
    pub fn leader(&self) -> usize {
        let mut found = None;
        let seen = wait_blocking(PATIENCE, || {
            found = (0..self.members.len()).find(|index| self.leads(*index));
            found.is_some()
        });
        assert!(seen, "no member leads after {PATIENCE:?}");
        found.expect("it was seen")
    }

    /// Makes a member the leader.
    pub fn make_leader(&self, index: usize) {
        let moved = wait_blocking(PATIENCE, || {
            let leader = self.leader();
            if leader == index {
                return true;
            }
            let id = self.status(index).and_then(|line| Some(line.split(", ").nth(1)?.to_owned()));
            let id = id.unwrap_or_default();
            drop(self.ctl_at(leader, &["move-leader", &id]).output());
            false
        });
        assert!(moved, "member {index} does not become the leader");
    }

    fn leads(&self, index: usize) -> bool {
        let line = self.status(index);
        line.is_some_and(|line| line.split(", ").nth(4) == Some("true"))
    }

    /// `endpoint, id, version, size, leads, learner, …`, while it answers.
    fn status(&self, index: usize) -> Option<String> {
        self.members[index].process.as_ref()?;
        let mut status = self.ctl_at(index, &["endpoint", "status"]);
        let output = status.args(["--command-timeout", "1s"]).output().expect("etcdctl starts");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    }

    pub fn kill9(&mut self, index: usize) {
        let Some(mut process) = self.members[index].process.take() else { return };
        send(pid(&process), Signal::SIGKILL);
        process.wait().expect("the member is our child");
    }

    /// Takes connections and answers nothing, as when its machine hangs.
    pub fn pause(&self, index: usize) {
        self.signal(index, Signal::SIGSTOP);
    }

    pub fn resume(&self, index: usize) {
        self.signal(index, Signal::SIGCONT);
    }

    fn signal(&self, index: usize, signal: Signal) {
        let process = self.members[index].process.as_ref().expect("the member runs");
        send(pid(process), signal);
    }

    /// Starts a killed member again, with its data, and waits until it works.
    pub fn start_again(&mut self, index: usize) {
        self.spawn(index);
        self.wait_until_all_work();
    }

    /// Kills all members.
    pub fn kill_all(&mut self) {
        (0..self.members.len()).for_each(|index| self.kill9(index));
    }

    /// Starts all members that do not run.
    pub fn start_all(&mut self) {
        for index in 0..self.members.len() {
            if self.members[index].process.is_none() {
                self.spawn(index);
            }
        }
        self.wait_until_all_work();
    }

    /// All members anew from a snapshot, as etcd's manual says ("Disaster recovery").
    pub fn restore(&mut self, snapshot: &Path) {
        self.kill_all();
        self.token += 1;
        for index in 0..self.members.len() {
            fs::remove_dir_all(self.data(index)).expect("the data are ours");
            let mut restore = program("etcdctl");
            restore.args(["snapshot", "restore"]).arg(snapshot).args(self.identity(index));
            run(restore.arg("--data-dir").arg(self.data(index)));
            self.spawn(index);
        }
        self.wait_until_all_work();
    }

    /// `etcdctl` at all members, run to its end: what it wrote.
    ///
    /// # Panics
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let all: Vec<String> = (0..self.members.len()).map(|index| self.url(index)).collect();
        run(self.etcdctl(&all.join(",")).args(arguments))
    }

    /// The same command for one member, not yet run.
    pub fn ctl_at(&self, index: usize, arguments: &[&str]) -> Command {
        let mut command = self.etcdctl(&self.url(index));
        command.args(arguments);
        command
    }

    fn etcdctl(&self, endpoints: &str) -> Command {
        let mut command = program("etcdctl");
        command.args(["--endpoints", endpoints]);
        if let Some([certificate, key, authority]) = &self.options.tls {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
            command.arg("--cacert").arg(authority);
        }
        command
    }

    /// A folder that is removed with the cluster.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn home(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("member-{index}"))
    }

    fn data(&self, index: usize) -> PathBuf {
        self.home(index).join("data")
    }

    fn url(&self, index: usize) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[index].client)
    }

    fn peer(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.members[index].peer)
    }

    /// Who a member is and who the others are.
    fn identity(&self, index: usize) -> Vec<String> {
        let all = (0..self.members.len()).map(|at| format!("member-{at}={}", self.peer(at)));
        let all: Vec<String> = all.collect();
        let flags = [
            ("--name", format!("member-{index}")),
            ("--initial-advertise-peer-urls", self.peer(index)),
            ("--initial-cluster", all.join(",")),
            ("--initial-cluster-token", format!("test-{}", self.token)),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn spawn(&mut self, index: usize) {
        let home = self.home(index);
        fs::create_dir_all(&home).expect("the folder is ours");
        let log = File::options().create(true).append(true).open(home.join("log"));
        let mut command = program("etcd");
        command.args(self.identity(index)).arg("--data-dir").arg(self.data(index));
        command.args(["--listen-client-urls", &self.url(index)]);
        command.args(["--advertise-client-urls", &self.url(index)]);
        command.args(["--listen-peer-urls", &self.peer(index)]);
        if let Some([certificate, key, authority]) = &self.options.tls {
            command.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
            command.arg("--trusted-ca-file").arg(authority).arg("--client-cert-auth");
        }
        command.args(&self.options.arguments).current_dir(&home);
        // In a group of its own, so that an interrupt from the keyboard leaves it to us.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("the log can be opened"));
        let process = command.spawn().expect("etcd can be started");
        let written = fs::write(home.join("postmaster.pid"), process.id().to_string());
        written.expect("the folder is ours");
        self.members[index].process = Some(process);
    }

    fn wait_until_all_work(&self) {
        let running = |index: &usize| self.members[*index].process.is_some();
        let works = |index| self.status(index).is_some_and(|line| !line.contains("etcdserver: no"));
        let work = wait_blocking(PATIENCE, || {
            (0..self.members.len()).filter(running).all(works) && self.has_quorum()
        });
        let log = || fs::read_to_string(self.home(0).join("log")).unwrap_or_default();
        assert!(work, "etcd does not work after {PATIENCE:?}; member 0 says:\n{}", log());
    }

    fn has_quorum(&self) -> bool {
        (0..self.members.len()).any(|index| self.leads(index))
    }
}

impl Drop for EtcdCluster {
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(process.id().cast_signed())
}

fn program(name: &str) -> Command {
    let mut command = Command::new(etcd_folder().join("bin").join(name));
    // Nothing of the machine's own settings may change what a test starts.
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("ETCD")) {
        command.env_remove(variable);
    }
    command.env("ETCDCTL_API", "3");
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
