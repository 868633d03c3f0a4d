//! From the command line that was typed to the command's own file.

use super::{
    Cli, Command, Context, Failure, agent, alerts, approvals, check, compare, conducting, config,
    dns, executions, gate, help_all, lab, ledger, link, moves, pause, plan, repair, returning,
    runbook, salvage, status, watchdog,
};
use std::process::ExitCode;

impl Cli {
    /// Runs the command. A failure is shown in the form that was asked for.
    pub async fn run(self) -> ExitCode {
        let context = Context::new(self.global);
        match dispatch(self.command, &context).await {
            Ok(code) => code,
            Err(failure) => context.show_failure(&failure),
        }
    }
}

async fn dispatch(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Status(args) => status::run(args, context).await,
        Command::Plan(args) => plan::run(args, context).await,
        Command::Switchover(args) => moves::switchover(args, context).await,
        Command::Failover(args) => moves::failover(args, context).await,
        Command::Requests => approvals::list(context).await,
        Command::Approve(args) => approvals::approve(args, context).await,
        Command::Withdraw(args) => approvals::withdraw(args, context).await,
        Command::Pause(args) => pause::pause(args, context).await,
        Command::Resume(args) => pause::resume(args, context).await,
        Command::Runbook(command) => runbook::run(command, context).await,
        Command::Run(command) => conducting::run(command, context).await,
        Command::Executions(args) => executions::run(args, context).await,
        Command::Compare(args) => compare::run(args, context).await,
        Command::Repair(args) => repair::run(args, context).await,
        Command::Return(command) => returning::run(command, context).await,
        Command::Link(command) => link::run(command, context).await,
        Command::Salvage(command) => salvage::run(command, context).await,
        Command::Dns(command) => dns::run(command, context).await,
        Command::Alerts(command) => alerts::run(command, context).await,
        Command::Check(args) => check::run(args, context).await,
        Command::Config(command) => config::run(&command, context),
        Command::Ledger(command) => ledger::run(command, context).await,
        Command::Agent(args) => agent::run(args, context).await,
        Command::Gate => gate::run(context).await,
        Command::Watchdog => watchdog::run(context).await,
        Command::Lab(args) => lab::run(args, context).await,
        Command::HelpAll => help_all::run(),
    }
}
