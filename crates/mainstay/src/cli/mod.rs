//! The command line: what was typed. One file a command, each with its rendering.

mod agent;
mod check;
mod compare;
mod config;
mod context;
mod executions;
mod failure;
mod follow;
mod gate;
mod help_all;
mod lab;
mod ledger;
mod moves;
mod output;
mod plan;
mod run;
mod salvage;
mod site;
mod status;
mod text;

pub use context::Context;
pub use failure::Failure;

use clap::{Parser, Subcommand, ValueEnum};
use mainstay_core::SiteName;
use std::path::PathBuf;

/// Disaster recovery as one binary: keeps an application's data at a second site, and moves it
/// there when the first one is lost.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Args)]
pub struct Global {
    /// How results are written
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORM")]
    pub output: Form,
    /// How logs are written, to standard error; MAINSTAY_LOG sets the level (such as debug)
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORM")]
    pub log_format: Form,
    /// The folder of this site's agent: its sockets, ledger and salvage
    #[arg(long, global = true, env = "MAINSTAY_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The configuration [default: mainstay.toml here, then /etc/mainstay/mainstay.toml]
    #[arg(long, global = true, env = "MAINSTAY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which site of the configuration this machine is
    #[arg(long, global = true, env = "MAINSTAY_SITE")]
    pub site: Option<SiteName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is active, what is behind, what is wrong, and what to type next
    Status(status::Args),
    /// What a failover or switchover would do and lose now, and how long it took last time
    Plan(plan::Args),
    /// Move an application to its other site without losing anything
    Switchover(moves::Switchover),
    /// Move an application away from a site that is lost
    Failover(moves::Failover),
    /// The failovers and switchovers so far
    Executions(executions::Args),
    /// Compare the data of two sites and name the position at which it was equal
    Compare(compare::Args),
    /// What a lost site had accepted and the other never received
    #[command(subcommand)]
    Salvage(salvage::Command),
    /// The record of every observation, decision and step
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Tell everything that is wrong with a configuration
    Check(check::Args),
    /// About the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Run this site's agent
    Agent(agent::Args),
    /// Run this site's gate
    Gate,
    /// Two sites, a bank and a disaster on this machine
    Lab(mainstay_lab::LabArgs),
    /// The reference of all commands as Markdown
    #[command(hide = true)]
    HelpAll,
}
