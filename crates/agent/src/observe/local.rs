//! This site's own stores: do they take a write, where do they end, are they open.

use super::repeat;
use crate::application::Application;
use crate::stores::Stores;
use crate::stores::at::{At, Fault, Look, Looking};
use crate::time::{tick, unix_micros};
use mainstay_core::StoreName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Sessions that worked at the last look.
type Probes = Mutex<BTreeMap<StoreName, Looking>>;

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let work = application.clone();
    let probes = Arc::new(Probes::default());
    tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
        let (work, probes) = (work.clone(), probes.clone());
        async move {
            look(&work, &probes).await;
            work.known().sample_lag(unix_micros());
        }
    }));
}

async fn look(application: &Application, probes: &Probes) {
    let mut probes = probes.lock().await;
    let stores = application.context.stores.as_ref();
    let mut all_writable = true;
    for (store, at) in application.stores_here() {
        let probe = probes.remove(store);
        let looked = tokio::time::timeout(TIMEOUT, look_at(stores, probe, at)).await;
        let trouble = match looked {
            Ok(Ok((probe, seen))) => {
                probes.insert(store.clone(), probe);
                take_in(application, store, seen);
                None
            }
            Ok(Err(why)) => Some(why.to_string()),
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
    stores: &dyn Stores,
    probe: Option<Looking>,
    at: At<'_>,
) -> Result<(Looking, Look), Fault> {
    let probe = match probe {
        Some(probe) => probe,
        None => at.probe(stores).await?,
    };
    let seen = probe.look().await?;
    Ok((probe, seen))
}

fn take_in(application: &Application, store: &StoreName, seen: Look) {
    application.learn(|known| {
        known.positions.insert(store.clone(), seen.position);
        // A server that was restarted is fenced again by itself; it has to be opened anew.
        if !seen.open && !application.single.databases.is_taken() {
            known.facts.open = None;
        }
        // Somebody else let the application in, or a server that started by itself did.
        if seen.admits && known.facts.open.is_none() {
            known.fenced = None;
        }
    });
}
