//! The command line: what was typed. One file a command, each with its rendering.

mod agent;
mod alerts;
mod approvals;
mod check;
mod compare;
mod comparing;
mod conducting;
mod config;
mod consent;
mod context;
mod dns;
mod dns_keys;
mod executions;
mod failure;
mod follow;
mod gate;
mod help_all;
mod lab;
mod ledger;
mod link;
mod moves;
mod output;
mod pause;
mod plan;
mod receipt;
mod repair;
mod returning;
mod run;
mod runbook;
mod salvage;
mod site;
mod status;
mod text;
mod watchdog;
mod watching;
mod way_back;

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

/// Their ids have a prefix: clap takes an argument of a command with the id of a global option for
/// that option, so that `lab kill SITE` and `--site` would be one.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// How results are written
    #[arg(id = "global-output", long = "output", global = true)]
    #[arg(value_enum, default_value = "text", value_name = "FORM")]
    pub output: Form,
    /// How logs are written, to standard error; MAINSTAY_LOG sets the level (such as debug)
    #[arg(id = "global-log-format", long = "log-format", global = true)]
    #[arg(value_enum, default_value = "text", value_name = "FORM")]
    pub log_format: Form,
    /// The folder of this site's agent: its sockets, ledger and salvage
    #[arg(id = "global-state", long = "state", global = true)]
    #[arg(env = "MAINSTAY_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The configuration [default: mainstay.toml here, then /etc/mainstay/mainstay.toml]
    #[arg(id = "global-config", long = "config", global = true)]
    #[arg(env = "MAINSTAY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which site of the configuration this machine is
    #[arg(id = "global-site", long = "site", global = true)]
    #[arg(env = "MAINSTAY_SITE", value_name = "SITE")]
    pub site: Option<SiteName>,
    /// Ask the agent of another machine, such as https://east.example.org:7480
    #[arg(id = "global-agent", long = "agent", global = true)]
    #[arg(env = "MAINSTAY_AGENT", value_name = "URL", conflicts_with = "global-state")]
    pub agent: Option<String>,
    /// With --agent: the certificates that signed the sites' own (their ca.pem)
    #[arg(id = "global-authority", long = "authority", global = true)]
    #[arg(env = "MAINSTAY_AUTHORITY", value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// With --agent: your certificate
    #[arg(id = "global-certificate", long = "certificate", global = true)]
    #[arg(env = "MAINSTAY_CERTIFICATE", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// With --agent: the key of your certificate
    #[arg(id = "global-key", long = "key", global = true)]
    #[arg(env = "MAINSTAY_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// With --agent: the file with your token, instead of a certificate
    #[arg(id = "global-token-file", long = "token-file", global = true)]
    #[arg(env = "MAINSTAY_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
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
    /// What waits for another person's approval
    Requests,
    /// Approve what somebody else asked for
    Approve(approvals::Approve),
    /// Take back what you asked for, or reject what somebody else did
    Withdraw(approvals::Withdraw),
    /// Let no failover begin by itself for a while, at any site
    Pause(pause::Pause),
    /// End a pause: failovers begin by themselves again
    Resume(pause::Resume),
    /// What a failover or switchover consists of, with your own steps
    #[command(subcommand)]
    Runbook(runbook::Command),
    /// An execution as it goes, and your word when it is stuck
    #[command(subcommand)]
    Run(conducting::Command),
    /// The failovers and switchovers so far
    Executions(executions::Args),
    /// Compare the data of two sites and name the position at which it was equal
    Compare(compare::Args),
    /// Make rows of a standby that differ what they are at the active site
    Repair(repair::Args),
    /// A link that has stopped
    #[command(subcommand)]
    Link(link::Command),
    /// A lost site on its way back
    #[command(subcommand)]
    Return(returning::Command),
    /// What a lost site had accepted and the other never received
    #[command(subcommand)]
    Salvage(salvage::Command),
    /// The record of every observation, decision and step
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// The applications' names in DNS
    #[command(subcommand)]
    Dns(dns::Command),
    /// Who is told of what is wrong, and whether it arrives
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Tell everything that is wrong with a configuration
    Check(check::Args),
    /// About the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Run this site's agent
    Agent(agent::Args),
    /// Run this site's gate
    Gate,
    /// Run this site's watchdog, which fences its databases when the agent cannot
    Watchdog,
    /// Two sites, a bank and a disaster on this machine
    Lab(mainstay_lab::LabArgs),
    /// The reference of all commands as Markdown
    #[command(hide = true)]
    HelpAll,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{Command, CommandFactory};

    fn no_argument_is_named_like_a_global_one(command: &Command) {
        for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
            assert!(!argument.get_id().as_str().starts_with("global-"), "{argument}");
        }
        command.get_subcommands().for_each(no_argument_is_named_like_a_global_one);
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        let command = Cli::command();
        command.clone().debug_assert();
        let globals: Vec<_> = command.get_arguments().filter(|it| it.is_global_set()).collect();
        assert!(globals.iter().all(|it| it.get_id().as_str().starts_with("global-")));
        no_argument_is_named_like_a_global_one(&command);
    }
}
