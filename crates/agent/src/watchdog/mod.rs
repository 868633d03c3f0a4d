//! The watchdog of a site: a process beside the agent that has the site's databases fenced when
//! the right to accept writes has run out, whether the agent is well, stopped, starved or dead. The
//! gate closes by itself; this is for who comes to the database past the gate.
//!
//! Invariant: half a lease after the renewal or promise that gave the right was sent, the databases
//! of a site are fenced, unless its agent has shown a newer right.

mod guard;
pub mod line;

use crate::error::AgentError;
use crate::stores::{Postgres, Stores};
use crate::time::tick;
use guard::Guard;
use line::{Receipts, Told};
use mainstay_core::estate::Estate;
use mainstay_core::lease::Lease;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct WatchdogSpec {
    pub estate: Estate,
    /// The folder of this site's agent.
    pub state: PathBuf,
}

/// Runs one site's watchdog until shutdown.
pub async fn run(spec: WatchdogSpec, shutdown: CancellationToken) -> Result<(), AgentError> {
    let here = spec.estate.here.clone();
    if spec.estate.sites.get(&here).is_some_and(|site| site.witness) {
        return Err(AgentError::NothingToWatch { site: here.to_string() });
    }
    let tasks = TaskTracker::new();
    let end = start(&spec.estate, &(Arc::new(Postgres) as Arc<dyn Stores>), &tasks, &shutdown);
    tracing::info!(site = %here, "the watchdog runs");
    let socket = line::socket(&spec.state);
    shutdown.run_until_cancelled(end.listen_to_agent(&socket)).await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Guards every application of the site from now on, until shutdown; what the agent says is to be
/// brought by the watchdog's end of the line.
pub fn start(
    estate: &Estate,
    stores: &Arc<dyn Stores>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> line::End {
    let (told, receipts) = (watch::Sender::new(Told::default()), Receipts::default());
    let started = tick();
    for application in estate.applications.values() {
        let lease = Lease::new(application.lease);
        let guard = Guard {
            application: application.clone(),
            here: estate.here.clone(),
            lease,
            told: told.subscribe(),
            receipts: receipts.clone(),
            stores: stores.clone(),
            // What was given before this process began is not known. It runs out by then.
            until: lease.serves_until(started),
        };
        let shutdown = shutdown.clone();
        tasks.spawn(async move { shutdown.run_until_cancelled(guard.run()).await });
    }
    line::End { told, receipts }
}
