//! Comparing a store of this site with the active site's.

use crate::application::Application;
use mainstay_core::StoreName;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Comparison, Held, Listener};
use mainstay_stores::postgres::link::{LinkSpec, Paused};
use mainstay_stores::postgres::repair::Hold;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A link that stands still for a comparison.
pub struct Standing(Paused);

impl Held for Standing {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.0.advance_to(at, TIMEOUT).await.map_err(|why| why.to_string())
    }
}

/// The link of a store at this site.
pub struct Linked {
    pub application: Arc<Application>,
    pub store: StoreName,
}

impl Hold for Linked {
    type Held = Standing;

    async fn hold(&mut self) -> Result<Standing, String> {
        hold(&self.application, &self.store).await
    }
}

async fn hold(application: &Application, store: &StoreName) -> Result<Standing, String> {
    let links = application.links.lock().await;
    let running = links.get(store).ok_or("no link of this store runs here")?;
    running.link.pause(TIMEOUT).await.map(Standing).map_err(|why| why.to_string())
}

/// The link from the active site to this one.
pub fn spec(application: &Application, store: &StoreName) -> Result<LinkSpec, String> {
    let known = application.known();
    let record = known.facts.record.as_ref().map(|seen| seen.record.clone());
    let record = record.ok_or("the active site is not known yet")?;
    drop(known);
    super::links::spec(application, store, &record.active, application.here(), record.epoch)
        .filter(|spec| spec.from != spec.to)
        .ok_or_else(|| "this is done at a standby, against the active site".to_owned())
}

/// Compares at one position, and enters what came of it in the ledger. Anything that cannot be
/// finished is an error, never "equal".
pub async fn run(application: &Application, store: &StoreName) -> Result<Comparison, String> {
    against(application, &spec(application, store)?, &mut ()).await
}

/// The same, with somebody who listens.
pub async fn against(
    application: &Application,
    spec: &LinkSpec,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    let held = hold(application, &spec.store).await?;
    let compared = compare::run(&spec.source, &spec.target, held, listener).await;
    let compared = compared.map_err(|why| why.to_string())?;
    let body = serde_json::json!({
        "store": spec.store, "position": compared.position, "equal": compared.equal,
        "tables": compared.tables.len(),
    });
    application.enter("comparison", body).await.map_err(|why| why.to_string())?;
    Ok(compared)
}
