//! Trying a ledger again that could not be written.

use super::repeat;
use crate::application::Application;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_secs(5);

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let work = application.clone();
    tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
        let work = work.clone();
        async move {
            let trouble = work.known().ledger_trouble.clone();
            if let Some(why) = trouble {
                // What came of it is told by `enter`.
                let _told =
                    work.enter("ledger-written-again", serde_json::json!({"was": why})).await;
            }
        }
    }));
}
