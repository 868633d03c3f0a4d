//! `mainstay lab …`

mod options;
mod parts;
mod play;
mod scene;
mod trials;

pub use options::{CoordinatorKind, LabArgs, LabCommand, RunArgs, RunOptions};
pub use parts::stop_on_signal;
pub use scene::{SceneArgs, SceneName};
pub use trials::{LoseAgain, Trials};

use crate::error::LabError;
use crate::{scenario, scenes};
use std::process::ExitCode;

/// Carries out one command of the lab. With `json` the last thing on standard output is one
/// document; everything else goes to standard error.
pub async fn run(command: LabCommand, json: bool) -> Result<ExitCode, LabError> {
    match command {
        LabCommand::Run(args) => scenario::run(args, json).await,
        LabCommand::Up(options) => play::up(options).await,
        LabCommand::Down => play::down(),
        LabCommand::Kill { site } => play::kill(&site),
        LabCommand::Start { site } => play::start(&site).await,
        LabCommand::Cut { a, b } => play::cut(a, b, json).await,
        LabCommand::Heal => play::heal(json).await,
        LabCommand::Status => play::status(json).await,
        LabCommand::State { site } => play::state(&site),
        LabCommand::Bank(options) => parts::bank(*options).await,
        LabCommand::Clients(options) => parts::clients(options).await,
        LabCommand::Fence(of) => parts::fence(&of),
        LabCommand::Fenced(of) => parts::fenced(&of).await,
        LabCommand::Network { routes } => parts::network(&routes).await,
        LabCommand::Scene(args) => scenes::run(args, json).await,
        LabCommand::Writer(options) => parts::writer(*options).await,
        LabCommand::Sweep { folder, keep } => parts::sweep(folder, keep),
    }
}
