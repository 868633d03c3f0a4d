//! Two servers, and what brings one's keys to the other.

use super::Outcome;
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, Reply};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the link has its position at the target. Looking for it by KEYS keeps a server with many
/// keys busy.
const RECORD: &str = "mainstay:link:bench/cache/east->west";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// Redis's own replication.
    Replica,
    Link,
}

impl Follower {
    pub fn name(self) -> &'static str {
        match self {
            Follower::Replica => "REPLICAOF",
            Follower::Link => "Mainstay",
        }
    }
}

pub struct World {
    pub source: RedisServer,
    pub target: RedisServer,
    child: Option<Child>,
}

impl World {
    pub fn start() -> Self {
        let options = || RedisOptions::of(RedisKind::Redis7).set("repl-backlog-size", "256mb");
        let [source, target] = [(); 2].map(|()| RedisServer::start(options()));
        Self { source, target, child: None }
    }

    pub fn follow(&mut self, follower: Follower) -> Outcome<()> {
        let port = self.source.port().to_string();
        if follower == Follower::Replica {
            self.target.client().run(&["REPLICAOF", "127.0.0.1", &port]);
            return Ok(());
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["link", &port, &self.target.port().to_string()]).stdin(Stdio::piped());
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// The application's keys at the target, once no copy is under way there.
    pub fn followed(&self) -> bool {
        let mut client = self.target.client();
        match &self.child {
            None => client.run(&["INFO", "replication"]).text().contains("master_link_status:up"),
            Some(_) => {
                let state = client.ask(&["HGET", RECORD, "state"]);
                state == Reply::Text(b"streaming".to_vec())
            }
        }
    }

    /// The most memory that the link's process had, in MB.
    pub fn memory(&self) -> Outcome<Option<u64>> {
        let Some(child) = &self.child else { return Ok(None) };
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.map(|kilobytes| kilobytes / 1024))
    }

    pub fn same_keys(&self, own: i64) -> Outcome<()> {
        let keys = |server: &RedisServer| server.client().run(&["DBSIZE"]).int();
        let (source, target) = (keys(&self.source), keys(&self.target) - own);
        if source == target {
            return Ok(());
        }
        Err(format!("the source has {source} keys, the target {target}").into())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            child.wait().expect("the link's process is our child");
        }
    }
}

/// Waits without taking the processor from the servers.
pub fn wait(what: &str, mut reached: impl FnMut() -> bool) -> Outcome<Duration> {
    let begin = Instant::now();
    while !reached() {
        if begin.elapsed() > Duration::from_secs(300) {
            return Err(format!("after 5 minutes still not: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(begin.elapsed())
}
