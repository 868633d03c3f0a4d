//! Comparing a store of this site with the active site's.

use crate::application::Application;
use mainstay_core::StoreName;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Comparison, Held};
use mainstay_stores::postgres::link::Paused;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A link that stands still for a comparison.
struct Standing(Paused);

impl Held for Standing {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.0.advance_to(at, TIMEOUT).await.map_err(|why| why.to_string())
    }
}

async fn hold(application: &Application, store: &StoreName) -> Result<Standing, String> {
    let links = application.links.lock().await;
    let running = links.get(store).ok_or("no link of this store runs here")?;
    running.link.pause(TIMEOUT).await.map(Standing).map_err(|why| why.to_string())
}

/// Compares at one position, and enters what came of it in the ledger. Anything that cannot be
/// finished is an error, never "equal".
pub async fn run(application: &Application, store: &StoreName) -> Result<Comparison, String> {
    let spec = {
        let known = application.known();
        let record = known.facts.record.as_ref().map(|seen| seen.record.clone());
        let record = record.ok_or("the active site is not known yet")?;
        drop(known);
        super::links::spec(application, store, &record.active, application.here(), record.epoch)
            .filter(|spec| spec.from != spec.to)
            .ok_or("a comparison is made at a standby, against the active site")?
    };
    let held = hold(application, store).await?;
    let compared = compare::run(&spec.source, &spec.target, held, &mut ()).await;
    let compared = compared.map_err(|why| why.to_string())?;
    let body = serde_json::json!({
        "store": store, "position": compared.position, "equal": compared.equal,
        "tables": compared.tables.len(),
    });
    application.enter("comparison", body).await.map_err(|why| why.to_string())?;
    Ok(compared)
}
