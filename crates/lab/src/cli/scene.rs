//! `mainstay lab scene`.

use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub struct SceneArgs {
    pub name: SceneName,
    /// Drives the moment of the fault; random when not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// As long as the fault lasts in earnest: minutes, an hour
    #[arg(long)]
    pub long: bool,
    /// Leave the folder with all logs, configurations and databases
    #[arg(long)]
    pub keep: bool,
    /// The networks are there already
    #[arg(long, hide = true)]
    pub inside: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SceneName {
    /// The active site is cut off from everyone
    Isolated,
    /// Everything at the active site dies at once
    Killed,
    /// The active site and the witness are cut from each other
    WitnessCut,
    /// The two sites are cut from each other, with etcd's leader at each place in turn
    SitesCut,
    /// Wall clocks jump by an hour
    Clock,
    /// One site's clocks run 5 % too fast
    ClockFast,
    /// The server that holds the application's name is dead throughout a failover
    DnsDown,
    /// The active site's agent is stopped, and goes on later
    Stopped,
    /// The old site returns with transactions that it never sent
    LateReturn,
    /// The active site dies while the standby is far behind
    Lagging,
    /// The active site comes and goes every five seconds
    Flapping,
    /// One packet in a hundred is lost, the others come late, and every core is busy
    Lossy,
    /// A row that the standby's database refuses
    RefusedRow,
    /// Both sites lose their power at once and get it back
    Restarted,
    /// All of etcd is restored from a snapshot of before the last move
    OldBackup,
    /// One site's configuration is a version behind
    Versions,
    /// The agent that conducts a failover is killed at one durable write after another
    Conductor,
    /// The disk under ledger and journal is full
    DiskFull,
    /// Writes to ledger and journal fail
    DiskBroken,
    /// The standby's agent is killed while it applies what it has of the last seconds
    DrainKilled,
    /// The same death with Patroni in our place, for comparison
    Patroni,
}

impl SceneName {
    /// As it is typed.
    pub fn text(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Debug, Clone, Args)]
pub struct WriterOptions {
    #[arg(long)]
    pub folder: PathBuf,
    #[arg(id = "at", long = "at")]
    pub site: String,
    #[arg(long)]
    pub gate: Option<SocketAddr>,
    #[arg(long)]
    pub direct: SocketAddr,
    #[arg(long)]
    pub user: String,
    #[arg(long)]
    pub database: String,
}
