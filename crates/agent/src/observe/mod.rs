//! What an agent looks at, each in a task of its own.

pub mod ledger;
pub mod local;
pub mod members;
mod probe;
pub mod probes;
pub mod record;
pub mod views;

use crate::application::Application;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Calls `look` again and again, `pause` after it ended, until shutdown.
pub async fn repeat<F>(pause: Duration, shutdown: CancellationToken, mut look: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = look() => {}
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Starts everything that is looked at for one application.
pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    ledger::start(application, shutdown);
    record::start(application, shutdown);
    probes::start(application, shutdown);
    if !application.context.is_witness() {
        local::start(application, shutdown);
    }
}
