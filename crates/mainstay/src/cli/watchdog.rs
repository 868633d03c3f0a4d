//! `mainstay watchdog`: has this site's databases fenced when its agent cannot do it.

use super::{Context, Failure, site};
use crate::config::Look;
use mainstay_agent::watchdog::{self, WatchdogSpec};
use std::process::ExitCode;

/// Runs until it is told to stop.
pub async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let estate = site::estate(context, Look::Everywhere)?;
    let spec = WatchdogSpec { estate, state: context.state() };
    let stop = site::stop_signal()?;
    watchdog::run(spec, stop).await.map_err(|error| Failure::told(&error))?;
    Ok(ExitCode::SUCCESS)
}
