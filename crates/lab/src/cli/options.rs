//! What a person, or the lab itself, may type after `mainstay lab`.

use super::scene::{SceneArgs, WriterOptions};
use super::trials::Trials;
use crate::clients::Gateway;
use crate::error::{Doing, LabError};
use crate::processes::{Fence, Wanted};
use clap::{Args, Subcommand, ValueEnum};
use rand::Rng;
use std::net::SocketAddr;
use std::path::PathBuf;

/// As most would configure it: longer than a run.
const COOL_DOWN_SECONDS: u64 = 600;

/// `mainstay lab` alone means `mainstay lab run`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LabArgs {
    #[command(flatten)]
    pub run: RunArgs,
    #[command(subcommand)]
    pub command: Option<LabCommand>,
}

impl LabArgs {
    pub fn into_command(self) -> LabCommand {
        self.command.unwrap_or(LabCommand::Run(self.run))
    }
}

#[derive(Debug, Clone, Subcommand)]
pub enum LabCommand {
    /// The whole path once: two sites, a bank, a disaster, the way home, and a report
    Run(RunArgs),
    /// Start the lab and leave it running, to play with
    Up(RunOptions),
    /// End the lab that is up and remove its folder
    Down,
    /// Kill everything at a site with SIGKILL
    Kill { site: String },
    /// Start what is not running at a site
    Start { site: String },
    /// Cut the network between two sites, as if a cable was pulled
    Cut { a: String, b: String },
    /// Mend every cut
    Heal,
    /// What runs, and which sites are cut from each other
    Status,
    /// Print what --state is for a site: mainstay --state "$(mainstay lab state west)" status
    State { site: String },
    /// One fault on sites that have networks of their own, judged by clients; takes root
    Scene(SceneArgs),
    /// A scene's client
    #[command(hide = true)]
    Writer(Box<WriterOptions>),
    /// One process of the demo bank
    #[command(hide = true)]
    Bank(Box<BankOptions>),
    /// The bank's clients
    #[command(hide = true)]
    Clients(ClientsOptions),
    /// Stops everything at a site: what the lab's sites do to each other from outside
    #[command(hide = true)]
    Fence(FencedSite),
    /// Whether nothing of a site runs or answers: prints `stopped`, and else what is left
    #[command(hide = true)]
    Fenced(FencedSite),
    /// The network between the sites
    #[command(hide = true)]
    Network {
        #[arg(long)]
        routes: PathBuf,
    },
    /// Ends everything in the folder once standard input is closed
    #[command(hide = true)]
    Sweep {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        keep: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub options: RunOptions,
    #[command(flatten)]
    pub trials: Trials,
    /// Write the report as one HTML page
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Drives the moment of the disaster and the clients' choices; random when not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// Accounts of the bank
    #[arg(long, default_value_t = 100_000)]
    pub accounts: i64,
    /// Transfers a second, all clients together
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Clients
    #[arg(long, default_value_t = 8)]
    pub workers: u32,
    /// Longest load before the disaster, which comes in its second half
    #[arg(long, default_value_t = 16, value_name = "SECONDS")]
    pub load_seconds: u64,
    /// Where the sites agree on which of them is active
    #[arg(long, value_enum, default_value_t)]
    pub coordinator: CoordinatorKind,
    /// Further tables for every site's configuration, for tests of what the lab itself has not
    #[arg(long, value_name = "FILE", hide = true)]
    pub add_configuration: Option<PathBuf>,
    /// Give the sites means to stop each other from outside, so that a failover need not wait for
    /// the lease
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "stop"
    )]
    pub fence: Option<Fence>,
    /// Leave the folder with all logs, configurations and databases
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CoordinatorKind {
    /// In the witness's agent
    #[default]
    Embedded,
    /// Three members of etcd: one at each site, one at the witness
    Etcd,
}

impl RunOptions {
    pub fn wanted(&self) -> Result<Wanted, LabError> {
        let &Self { accounts, rate, workers, load_seconds, fence, .. } = self;
        let at_least = |option, good, given: String, why: &str| match good {
            true => Ok(()),
            false => Err(LabError::Option { option, given, why: why.to_owned() }),
        };
        at_least("--accounts", accounts >= 2, accounts.to_string(), "money moves between two")?;
        let good_rate = rate > 0.0 && rate <= 100_000.0;
        at_least("--rate", good_rate, rate.to_string(), "use more than 0 and at most 100000")?;
        let good_workers = (1..=1_000).contains(&workers);
        at_least("--workers", good_workers, workers.to_string(), "use 1 to 1000")?;
        let good_load = (2..=3_600).contains(&load_seconds);
        at_least("--load-seconds", good_load, load_seconds.to_string(), "use 2 to 3600")?;
        // Short enough to be typed again.
        let seed = self.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
        let cool_down_seconds = COOL_DOWN_SECONDS;
        let added = self.add_configuration.as_ref().map_or(Ok(String::new()), |file| {
            std::fs::read_to_string(file).doing(|| format!("read {}", file.display()))
        })?;
        Ok(Wanted { seed, accounts, rate, workers, load_seconds, cool_down_seconds, added, fence })
    }
}

#[derive(Debug, Clone, Args)]
pub struct BankOptions {
    #[arg(long)]
    pub listen: SocketAddr,
    /// As libpq takes it: `host=… port=… user=… dbname=…`; the password is in BANK_PASSWORD
    #[arg(long)]
    pub database: tokio_postgres::Config,
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
}

#[derive(Debug, Clone, Args)]
pub struct ClientsOptions {
    #[arg(long)]
    pub folder: PathBuf,
    /// `name=address:port`; once for each address
    #[arg(long = "gateway", value_parser = gateway, required = true)]
    pub gateways: Vec<Gateway>,
    #[arg(long)]
    pub accounts: i64,
    #[arg(long)]
    pub rate: f64,
    #[arg(long)]
    pub workers: u32,
    #[arg(long)]
    pub seed: u64,
    #[arg(long, default_value_t = 15)]
    pub grace_seconds: u64,
}

#[derive(Debug, Clone, Args)]
pub struct FencedSite {
    #[arg(long)]
    pub folder: PathBuf,
    pub site: String,
}

fn gateway(text: &str) -> Result<Gateway, String> {
    let (name, address) = text.split_once('=').ok_or("write name=address:port")?;
    let address = address.parse().map_err(|e| format!("{address}: {e}"))?;
    Ok(Gateway { name: name.to_owned(), address })
}
