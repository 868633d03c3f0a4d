//! Comparing again, soon after, the rows that a link has changed. It gives way to everything else.

use super::compare;
use crate::application::Application;
use crate::stores::{Link, Standing};
use crate::time::{tick, unix_micros};
use crate::types::Recheck;
use mainstay_core::decision::State;
use mainstay_core::position::Lsn;
use mainstay_core::{LinkPhase, StoreName};
use mainstay_stores::postgres::compare::{Held, Rechecked, recheck};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::MutexGuard;

/// The link of a busy site may take so long to stand where it should.
const PATIENCE: Duration = Duration::from_secs(3);
/// A server that does not answer is given up then.
const LONGEST: Duration = Duration::from_secs(60);

/// A link that stands still for a moment, for which others wait.
struct Briefly<'a> {
    standing: Standing,
    _alone: MutexGuard<'a, ()>,
}

impl Held for Briefly<'_> {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.standing.advance_to(at).await
    }

    fn still_stands(&self) -> bool {
        self.standing.still_stands()
    }
}

/// A standby does so by itself when it is due, where it makes whole comparisons by itself too.
pub fn keep(application: &Arc<Application>, state: State) {
    if !compare::is_quiet(application, state) || application.single.repair.is_taken() {
        return;
    }
    let Some(turn) = application.single.recheck.try_take() else { return };
    let Some(store) = due(application) else { return };
    let work = application.clone();
    tokio::spawn(async move {
        let _turn = turn;
        let made = tokio::select! {
            biased;
            made = tokio::time::timeout(LONGEST, run(&work, &store)) => {
                made.unwrap_or_else(|_| Err(format!("it took over {} s", LONGEST.as_secs())))
            }
            () = compare::until_unquiet(&work) => Err("this site had something else to do".to_owned()),
        };
        let Err(why) = made else { return };
        tracing::debug!(%store, why, "a recheck was not made");
        let mut known = work.known();
        let rechecks = &mut known.comparisons.entry(store.clone()).or_default().rechecks;
        if rechecks.failed(why.clone(), tick()) {
            tracing::warn!(%store, why, "several rechecks in a row were not made");
        }
    });
}

fn due(application: &Application) -> Option<StoreName> {
    let now = tick();
    let mut known = application.known();
    let streaming =
        known.links.iter().filter(|(_, link)| link.status.phase == LinkPhase::Streaming);
    let streaming: Vec<StoreName> = streaming.map(|(store, _)| store.clone()).collect();
    let mut wanted = streaming.into_iter().filter(|store| compare::rechecked(application, store));
    wanted.find(|store| known.comparisons.entry(store.clone()).or_default().rechecks.is_due(now))
}

async fn run(application: &Application, store: &StoreName) -> Result<(), String> {
    let spec = compare::spec(application, store)?;
    let made = match hold(application, store).await? {
        Some(held) => {
            let changed = |held: &Briefly<'_>| held.standing.paused.take_changed();
            let made = recheck(&spec.source, &spec.target, held, changed).await;
            Some(made.map_err(|why| why.to_string())?)
        }
        None => None,
    };
    if let Some(found) = made.as_ref().filter(|made| made.is_different()) {
        enter(application, store, found).await;
    }
    let made = made.map(|of| Recheck { micros: unix_micros(), of });
    application.learn(|known| {
        let comparing = known.comparisons.entry(store.clone()).or_default();
        comparing.rechecked(made, spec.epoch, tick());
    });
    Ok(())
}

/// None where the link has changed nothing since the last recheck.
async fn hold<'a>(
    application: &'a Application,
    store: &StoreName,
) -> Result<Option<Briefly<'a>>, String> {
    let alone = application.standing.try_lock();
    let alone = alone.map_err(|_| "the link stands still for somebody else")?;
    let links = application.links.lock().await;
    let running = links.get(store).ok_or("no link of this store runs here")?;
    if !running.link.postgres().is_some_and(Link::has_changed) {
        return Ok(None);
    }
    let paused = running.link.pause(PATIENCE).await?;
    let standing = Standing { paused, patience: PATIENCE };
    Ok(Some(Briefly { standing, _alone: alone }))
}

async fn enter(application: &Application, store: &StoreName, found: &Rechecked) {
    let tables: Vec<&String> = found.differing.iter().map(|table| &table.table).collect();
    let body = serde_json::json!({
        "store": store, "position": found.position, "rows": found.rows,
        "differences": found.differing_rows, "tables": tables,
    });
    // A failed entry is already told, and keeps nobody from being told what differs.
    let _told = application.enter("recheck", body).await;
}
