//! `mainstay config`: about the configuration.

use super::{Context, Failure, output};
use crate::config::reference;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Every key, what to write, and what holds when it is left out, as Markdown
    Reference,
}

pub fn run(command: &Command, context: &Context) -> Result<ExitCode, Failure> {
    let Command::Reference = command;
    let markdown = reference::markdown();
    if context.json() {
        context.show(&serde_json::json!({ "markdown": markdown }), |_| String::new())?;
    } else {
        output::say(&markdown);
    }
    Ok(ExitCode::SUCCESS)
}
