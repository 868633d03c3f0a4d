//! `mainstay gate`: this site's gate, one for each application, and its DNS server, in one process.

use super::{Context, Failure, site};
use crate::config::Look;
use mainstay_core::estate::Estate;
use mainstay_traffic::dns::server::{self, ServerSpec};
use mainstay_traffic::gate::{self, Ended, GateError, GateSpec};
use std::path::Path;
use std::process::ExitCode;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs until it is told to stop. When one part cannot run, all end: a process supervisor sees that
/// something is wrong.
pub async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let estate = site::estate(context, Look::Certificates)?;
    let state = context.state();
    let specs = specs(&estate, &state).map_err(|error| Failure::told(&error))?;
    let dns = ServerSpec::from_estate(&estate, &state).map_err(|error| Failure::told(&error))?;
    let stop = site::stop_signal()?;
    let told = specs.iter().map(|spec| (spec.application.clone(), spec.active.subscribe()));
    let told = told.collect();
    let mut parts = JoinSet::new();
    if let Some(spec) = dns {
        let stop = until_retired(&specs, &stop);
        let run = async { server::run(spec, told, stop).await.map(|()| Ended::HandedOver) };
        parts.spawn(async { run.await.map_err(|error| Failure::told(&error)) });
    }
    for spec in specs {
        let run = gate::run(spec, stop.clone());
        parts.spawn(async { run.await.map_err(|error| Failure::told(&error)) });
    }
    let mut result = Ok(ExitCode::SUCCESS);
    while let Some(ended) = parts.join_next().await {
        match ended {
            // The gates of other applications may have connections left.
            Ok(Ok(Ended::HandedOver)) => continue,
            Ok(Ok(Ended::Told)) => {}
            Ok(Err(failure)) => result = Err(failure),
            Err(panic) => result = Err(Failure::told(&panic)),
        }
        stop.cancel();
    }
    result
}

/// A process that takes the gates' ports over answers for the zones, too.
fn until_retired(specs: &[GateSpec], stop: &CancellationToken) -> CancellationToken {
    let ends = stop.child_token();
    for spec in specs {
        let (retired, ends) = (spec.retired.clone(), ends.clone());
        tokio::spawn(async move {
            retired.cancelled().await;
            ends.cancel()
        });
    }
    ends
}

fn specs(estate: &Estate, state: &Path) -> Result<Vec<GateSpec>, GateError> {
    let applications = estate.applications.values();
    applications.map(|application| GateSpec::from_estate(estate, application, state)).collect()
}
