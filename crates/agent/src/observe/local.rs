//! This site's own databases: do they take a write, where do they end, are they open.

use super::repeat;
use crate::act::databases;
use crate::application::Application;
use crate::time::{tick, unix_micros};
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::{Position, StoreName};
use mainstay_stores::postgres::{fence, probe};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(3);

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let work = application.clone();
    tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
        let work = work.clone();
        async move {
            look(&work).await;
            work.known().sample_lag(unix_micros());
        }
    }));
}

async fn look(application: &Application) {
    let mut all_writable = true;
    for (store, _, endpoint) in databases::here(application) {
        let looked = tokio::time::timeout(TIMEOUT, look_at(application, store, endpoint)).await;
        let trouble = match looked {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(_) => Some(format!("{store} does not answer within {TIMEOUT:?}")),
        };
        all_writable &= trouble.is_none();
        application.known().store_trouble.insert(store.clone(), trouble);
    }
    if all_writable {
        application.learn(|known| known.facts.writable = Some(tick()));
    }
}

async fn look_at(
    application: &Application,
    store: &StoreName,
    endpoint: &PostgresEndpoint,
) -> Result<(), String> {
    let words = |why: mainstay_stores::postgres::fault::Fault| why.to_string();
    probe::write(endpoint).await.map_err(words)?;
    let position = probe::position(endpoint).await.map_err(words)?;
    let state = fence::state(endpoint).await.map_err(words)?;
    application.learn(|known| {
        known.positions.insert(store.clone(), Position::Postgres(position));
        // A server that was restarted is fenced again by itself; it has to be opened anew.
        if !state.open && !application.single.databases.is_taken() {
            known.facts.open = None;
        }
    });
    Ok(())
}
