//! Keeping the links of this site running, as decided.

use crate::api::types::ReturnPhase;
use crate::application::{Application, RunningLink};
use crate::time::tick;
use mainstay_core::decision::State;
use mainstay_core::estate::{PostgresStore, StoreKind};
use mainstay_core::{Epoch, LinkPhase, SiteName, StoreName};
use mainstay_stores::postgres::link::{self, Durability, LinkSpec};
use std::sync::Arc;

/// A standby runs a link from the active site for each store; a returning site only for the stores
/// whose rows are put right. An execution rules the links by itself.
pub fn keep(application: &Arc<Application>, state: State) {
    if application.single.execution.is_taken() || application.single.links.is_taken() {
        return;
    }
    if !application.known().prepared {
        return;
    }
    let Some((epoch, active)) = active(application) else { return };
    let wanted = match state {
        State::Standby | State::Suspect | State::LeaseWait | State::Asking => {
            application.rules.stores.iter().cloned().collect()
        }
        State::Returning => put_right(application, epoch),
        State::Active | State::Fenced | State::HandingOver => Vec::new(),
        _ => return,
    };
    let work = application.clone();
    application.single.links.spawn(async move { reconcile(&work, &wanted, epoch, &active).await });
}

fn active(application: &Application) -> Option<(Epoch, SiteName)> {
    let known = application.known();
    let record = &known.facts.record.as_ref()?.record;
    Some((record.epoch, record.active.clone()))
}

fn put_right(application: &Application, epoch: Epoch) -> Vec<StoreName> {
    let known = application.known();
    let streams = known
        .returns
        .iter()
        .filter(|(_, it)| it.epoch == epoch && it.phase >= ReturnPhase::Streaming);
    streams.map(|(store, _)| store.clone()).collect()
}

async fn reconcile(
    application: &Arc<Application>,
    wanted: &[StoreName],
    epoch: Epoch,
    active: &SiteName,
) {
    let mut links = application.links.lock().await;
    let stale: Vec<StoreName> = links
        .iter()
        .filter(|(store, it)| !wanted.contains(store) || it.epoch != epoch || it.from != *active)
        .map(|(store, _)| store.clone())
        .collect();
    for store in stale {
        if let Some(running) = links.remove(&store) {
            running.link.stop().await;
        }
    }
    // An execution ends links too; what is known of them goes with them.
    application.known().links.retain(|store, _| links.contains_key(store));
    for store in wanted {
        if !links.contains_key(store)
            && let Some(running) = begin(application, store, epoch, active)
        {
            links.insert(store.clone(), running);
        }
    }
}

fn begin(
    application: &Arc<Application>,
    store: &StoreName,
    epoch: Epoch,
    active: &SiteName,
) -> Option<RunningLink> {
    let spec = spec(application, store, active, application.here(), epoch)?;
    let link = link::start(spec);
    tokio::spawn(watch(application.clone(), store.clone(), active.clone(), link.watch()));
    Some(RunningLink { link, epoch, from: active.clone() })
}

/// The link of a store between two sites.
pub fn spec(
    application: &Application,
    store: &StoreName,
    from: &SiteName,
    to: &SiteName,
    epoch: Epoch,
) -> Option<LinkSpec> {
    let StoreKind::Postgres(PostgresStore { endpoints, .. }) =
        &application.spec.stores.get(store)?.kind;
    Some(LinkSpec {
        application: application.spec.name.clone(),
        store: store.clone(),
        from: from.clone(),
        to: to.clone(),
        source: endpoints.get(from)?.clone(),
        target: endpoints.get(to)?.clone(),
        epoch,
        durability: Durability::EachCommit,
        spool: application.context.state.clone(),
        tools: application.context.tools.clone(),
    })
}

/// Brings every change of the link's status to the facts, until the link ends.
async fn watch(
    application: Arc<Application>,
    store: StoreName,
    from: SiteName,
    mut status: tokio::sync::watch::Receiver<mainstay_core::LinkStatus>,
) {
    let mut stopped = false;
    loop {
        let now = status.borrow_and_update().clone();
        if let LinkPhase::Stopped { code, reason } = &now.phase
            && !stopped
        {
            stopped = true;
            tracing::error!(%store, code, reason, "the link stopped");
            let body = serde_json::json!({"store": store, "code": code, "reason": reason});
            // A failed entry is already told; see `enter`.
            let _told = application.enter("link-stopped", body).await;
        }
        application.learn(|known| known.take_link(&store, &from, now, tick()));
        if status.changed().await.is_err() {
            return;
        }
    }
}

pub async fn stop_all(application: &Application) {
    let mut links = application.links.lock().await;
    while let Some((_, running)) = links.pop_first() {
        running.link.stop().await;
    }
}
