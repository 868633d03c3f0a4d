//! The run of `make lab`, one act a file. It uses what a person would use: the same binary, the
//! configuration that it wrote, the agents' API, signals.

mod account;
mod agent;
mod bring_back;
mod client_log;
mod crashes;
mod disaster;
mod failover;
mod home;
mod load;
mod lose_again;
mod lost;
mod narrator;
mod play;
mod roles;
mod round;
mod running;
mod salvage;
mod stage;
mod stated;
mod typed;
mod up;
mod wait;

pub use agent::Agent;
pub use load::{start_clients, until_the_link_follows};
pub use narrator::Narrator;
pub use running::Running;
pub use typed::typed;
pub use up::bring_up;
pub use wait::{Seen, wait_for};

use crate::cli::RunArgs;
use crate::error::{Doing, LabError};
use crate::report::{self, Report};
use std::path::Path;
use std::process::ExitCode;

/// Plays the whole path, shows the report, and leaves nothing behind.
pub async fn run(args: RunArgs, json: bool) -> Result<ExitCode, LabError> {
    let stop = crate::cli::stop_on_signal()?;
    let narrator = Narrator::begin();
    let running = Running::prepare(
        args.trials.fit(args.options.wanted()?)?,
        args.options.coordinator,
        args.options.keep,
    )?;
    narrator.say(&format!(
        "seed {}, folder {}",
        running.seed(),
        running.lab.folder.root().display()
    ));
    let outcome = tokio::select! {
        outcome = play::play(&running.lab, &narrator, &args.trials) => outcome,
        () = stop.cancelled() => Err(LabError::Interrupted),
    };
    match outcome {
        Ok(report) => {
            running.end();
            show(&report, args.report.as_deref(), json)
        }
        Err(error) => {
            running.end_after(&error);
            Err(error)
        }
    }
}

fn show(report: &Report, page: Option<&Path>, json: bool) -> Result<ExitCode, LabError> {
    if let Some(path) = page {
        std::fs::write(path, report::html(report)).doing(|| format!("write {}", path.display()))?;
    }
    if json {
        anstream::println!(
            "{}",
            serde_json::to_string(report).doing(|| "write the report".to_owned())?
        );
    } else {
        anstream::println!("{}", report::terminal(report));
    }
    Ok(if report.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
