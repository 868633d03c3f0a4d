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
