//! Keeping the links of this site running, as decided.

use crate::application::{Application, RunningLink};
use crate::error::Refused;
use crate::stores::{Completeness, StoreLink};
use crate::time::tick;
use crate::types::ReturnPhase;
use mainstay_core::decision::State;
use mainstay_core::estate::{PostgresStore, RedisStore, StoreKind};
use mainstay_core::position::Lsn;
use mainstay_core::{Epoch, LinkPhase, LinkStatus, Retained, SiteName, StoreName, Tick};
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_stores::redis;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A link is looked at at least so often.
const LOOK: Duration = Duration::from_millis(500);

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
    let mut wanted = match state {
        State::Standby | State::Suspect | State::LeaseWait | State::Asking => {
            application.rules.stores.iter().cloned().collect()
        }
        State::Returning => put_right(application, epoch),
        State::Active | State::Fenced | State::HandingOver => Vec::new(),
        _ => return,
    };
    let relinking = application.known().relinking.clone();
    wanted.retain(|store| !relinking.contains(store));
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

/// Starts the link of a store to this site.
pub fn begin(
    application: &Arc<Application>,
    store: &StoreName,
    epoch: Epoch,
    active: &SiteName,
) -> Option<RunningLink> {
    let here = application.here();
    let link = match &application.spec.stores.get(store)?.kind {
        StoreKind::Postgres(_) => {
            let spec = spec(application, store, active, here, epoch)?;
            StoreLink::Postgres(application.context.stores.start(spec))
        }
        StoreKind::Redis(_) => StoreLink::Redis(redis::link::start(redis_spec(
            application,
            store,
            active,
            here,
            epoch,
        )?)),
    };
    application.known().comparisons.entry(store.clone()).or_default().link_began(epoch);
    let told = (link.watch(), link.completeness());
    tokio::spawn(watch(application.clone(), store.clone(), active.clone(), told));
    Some(RunningLink { link, epoch, from: active.clone() })
}

/// The link of a PostgreSQL store between two sites; none for one of another kind.
pub fn spec(
    application: &Application,
    store: &StoreName,
    from: &SiteName,
    to: &SiteName,
    epoch: Epoch,
) -> Option<LinkSpec> {
    let StoreKind::Postgres(PostgresStore { endpoints, durability, .. }) =
        &application.spec.stores.get(store)?.kind
    else {
        return None;
    };
    Some(LinkSpec {
        application: application.spec.name.clone(),
        store: store.clone(),
        from: from.clone(),
        to: to.clone(),
        source: endpoints.get(from)?.clone(),
        target: endpoints.get(to)?.clone(),
        epoch,
        durability: *durability,
        spool: application.context.state.clone(),
        tools: application.context.tools.clone(),
    })
}

/// The link of a Redis store between two sites; none for one of another kind.
pub fn redis_spec(
    application: &Application,
    store: &StoreName,
    from: &SiteName,
    to: &SiteName,
    epoch: Epoch,
) -> Option<redis::link::LinkSpec> {
    let StoreKind::Redis(RedisStore { endpoints, exclude, readers, .. }) =
        &application.spec.stores.get(store)?.kind
    else {
        return None;
    };
    Some(redis::link::LinkSpec {
        application: application.spec.name.clone(),
        store: store.clone(),
        from: from.clone(),
        to: to.clone(),
        source: endpoints.get(from)?.clone(),
        target: endpoints.get(to)?.clone(),
        epoch,
        exclude: exclude.clone(),
        readers: readers.clone(),
        replace: may_replace(application, store, epoch),
    })
}

/// Whether what this site has may be replaced by a copy of the active site's data: another site was
/// active before and this one never was, or a copy of what this one has is kept.
fn may_replace(application: &Application, store: &StoreName, epoch: Epoch) -> bool {
    let known = application.known();
    let never_active = known.facts.promoted == Epoch::default() && epoch > Epoch::new(1);
    let back = known.returns.get(store).filter(|back| back.epoch == epoch);
    never_active || back.is_some_and(|back| back.phase >= ReturnPhase::Streaming)
}

/// Brings every change of the link's status to the facts, until the link ends.
async fn watch(
    application: Arc<Application>,
    store: StoreName,
    from: SiteName,
    (mut status, completeness): (tokio::sync::watch::Receiver<LinkStatus>, Completeness),
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
        let complete = completeness().map(|it| (as_tick(it.at), it.run));
        let as_of = complete.as_ref().map(|(at, _)| *at);
        let turned = application.learn(|known| {
            match complete {
                Some((complete, run)) if known.is_active(&from) => {
                    known.reads.complete(&store, complete);
                    run.into_iter().for_each(|run| known.reads.complete_in(&store, run));
                }
                None if matches!(now.phase, LinkPhase::Copying { .. }) => {
                    known.reads.forget(&store)
                }
                Some(_) | None => {}
            }
            known.comparisons.entry(store.clone()).or_default().link_is(&now.phase);
            known.take_link(&store, &from, (now, as_of), tick());
            known.turn_history(&store)
        });
        if let Some(kind) = turned {
            tell_of_history(&application, &store, kind).await;
        }
        // A link that is idle says nothing, and yet asks its source again and again.
        if let Ok(Err(_ended)) = tokio::time::timeout(LOOK, status.changed()).await {
            return;
        }
    }
}

/// The clock is read first: a process that is stopped in between makes it older, not younger.
fn as_tick(at: Instant) -> Tick {
    let now = tick();
    let age = tokio::time::Instant::from_std(at).elapsed();
    Tick::from_millis(now.millis().saturating_sub(age.as_millis().try_into().unwrap_or(u64::MAX)))
}

async fn tell_of_history(application: &Application, store: &StoreName, kind: &'static str) {
    let seen = {
        let known = application.known();
        known.links.get(store).and_then(|link| Some((link.from.clone(), link.status.retained?)))
    };
    let Some((from, Retained { bytes, left, bound, .. })) = seen else { return };
    tracing::warn!(%store, %from, bytes, left, bound, kind, "history is kept for the link");
    let body = serde_json::json!({
        "store": store, "from": from, "bytes": bytes, "left": left, "bound": bound
    });
    // A failed entry is already told; see `enter`.
    let _told = application.enter(kind, body).await;
}

/// The code of a link that was not continued.
pub const NOT_CONTINUED: &str = "MS-AGENT-015";
/// A link stopped at a schema change.
const SCHEMA_CHANGE: &str = "MS-PG-214";

/// Starts a link again that has stopped, without the schema change that a person has left out.
pub async fn go_on(
    application: &Arc<Application>,
    store: &StoreName,
    leave_out: Option<&str>,
    reason: &str,
) -> Result<(), Refused> {
    let refused = |what: String, advice: &str| Refused::new(NOT_CONTINUED, what, advice);
    let mut links = application.links.lock().await;
    let running = links.get(store).ok_or_else(|| {
        refused(
            format!("no link of {store} runs at {}", application.here()),
            "see `mainstay status`",
        )
    })?;
    let LinkPhase::Stopped { code, reason: stopped } = running.link.status().phase else {
        let what = format!("the link of {store} has not stopped");
        return Err(refused(what, "see `mainstay status`"));
    };
    if let Some(at) = leave_out {
        let named = at.parse::<Lsn>().map(|at| (at, stopped.contains(&format!(" at {at} "))));
        let Ok((at, true)) = named else {
            let what = format!("the link of {store} did not stop at a schema change at {at}");
            return Err(refused(what, "copy the command from `mainstay status`"));
        };
        if code != SCHEMA_CHANGE {
            let what = format!("the link of {store} stopped for another reason: {code}");
            return Err(refused(what, "see `mainstay status`"));
        }
        let spec = spec(application, store, &running.from, application.here(), running.epoch);
        let spec = spec
            .ok_or_else(|| refused(format!("{store} has no schema"), "leave out `--leave-out`"))?;
        leave_out_at(application, &spec, at, reason).await?;
    }
    let Some(RunningLink { link, epoch, from }) = links.remove(store) else { return Ok(()) };
    link.stop().await;
    if let Some(running) = begin(application, store, epoch, &from) {
        links.insert(store.clone(), running);
    }
    Ok(())
}

/// In the ledger before it is done: nobody may find the sites unlike without finding why.
async fn leave_out_at(
    application: &Application,
    spec: &LinkSpec,
    at: Lsn,
    reason: &str,
) -> Result<(), Refused> {
    let body = serde_json::json!({"store": spec.store, "at": at.to_string(), "reason": reason});
    application.enter("schema-change-left-out", body).await.map_err(|why| {
        let advice = "nothing is left out that cannot be recorded";
        Refused::new(NOT_CONTINUED, why.to_string(), advice)
    })?;
    link::leave_out(spec, at, reason)
        .await
        .map_err(|why| Refused::new(why.code(), why.to_string(), "see `mainstay status`"))
}

/// A store's link does not run while this is kept.
pub struct Unlinked {
    application: Arc<Application>,
    store: StoreName,
}

impl Unlinked {
    pub async fn new(application: &Arc<Application>, store: &StoreName) -> Self {
        application.known().relinking.insert(store.clone());
        if let Some(running) = application.links.lock().await.remove(store) {
            running.link.stop().await;
        }
        Self { application: application.clone(), store: store.clone() }
    }
}

impl Drop for Unlinked {
    fn drop(&mut self) {
        self.application.known().relinking.remove(&self.store);
    }
}

pub async fn stop_all(application: &Application) {
    let mut links = application.links.lock().await;
    while let Some((_, running)) = links.pop_first() {
        running.link.stop().await;
    }
}
