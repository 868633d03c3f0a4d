//! `mainstay gate`: this site's gate, one for each application, in one process.

use super::{Context, Failure, site};
use crate::config::Look;
use mainstay_core::estate::Estate;
use mainstay_traffic::gate::{self, GateError, GateSpec};
use std::path::Path;
use std::process::ExitCode;
use tokio::task::JoinSet;

/// Runs until it is told to stop. When the gate of one application cannot run, all end: a process
/// supervisor sees that something is wrong.
pub async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let estate = site::estate(context, Look::Certificates)?;
    let state = context.state();
    let specs = specs(&estate, &state).map_err(|error| Failure::told(&error))?;
    let stop = site::stop_signal()?;
    let mut gates = JoinSet::new();
    for spec in specs {
        gates.spawn(gate::run(spec, stop.clone()));
    }
    let mut result = Ok(ExitCode::SUCCESS);
    while let Some(ended) = gates.join_next().await {
        stop.cancel();
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => result = Err(Failure::told(&error)),
            Err(panic) => result = Err(Failure::told(&panic)),
        }
    }
    result
}

fn specs(estate: &Estate, state: &Path) -> Result<Vec<GateSpec>, GateError> {
    let applications = estate.applications.values();
    applications.map(|application| GateSpec::from_estate(estate, application, state)).collect()
}
