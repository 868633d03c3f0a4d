//! Comparing a store of this site with the active site's.

use crate::application::Application;
use crate::comparing::Job;
use crate::error::Refused;
use crate::time::tick;
use mainstay_core::StoreName;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{
    self, Comparison, Difference, Held, Listener, Pace, Progress,
};
use mainstay_stores::postgres::link::{LinkSpec, Paused};
use std::sync::Arc;
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
    compared(application, store, Pace::Full, &mut ()).await
}

async fn compared(
    application: &Application,
    store: &StoreName,
    pace: Pace,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    let spec = sides(application, store)?;
    let held = hold(application, store).await?;
    let compared = compare::run_at(pace, &spec.source, &spec.target, held, listener).await;
    let compared = compared.map_err(|why| why.to_string())?;
    let body = serde_json::json!({
        "store": store, "position": compared.position, "equal": compared.equal,
        "tables": compared.tables.len(),
    });
    application.enter("comparison", body).await.map_err(|why| why.to_string())?;
    Ok(compared)
}

/// The link between the two sides.
fn sides(application: &Application, store: &StoreName) -> Result<LinkSpec, String> {
    let record = {
        let known = application.known();
        known.facts.record.as_ref().map(|seen| seen.record.clone())
    };
    let record = record.ok_or("the active site is not known yet")?;
    super::links::spec(application, store, &record.active, application.here(), record.epoch)
        .filter(|spec| spec.from != spec.to)
        .ok_or_else(|| "a comparison is made at a standby, against the active site".to_owned())
}

/// Brings a comparison's progress to what is known.
struct Telling<'a> {
    application: &'a Application,
    store: &'a StoreName,
}

impl Listener for Telling<'_> {
    fn found(&mut self, _: &str, _: &Difference) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        let mut known = self.application.known();
        if let Some(job) = known.comparisons.get_mut(self.store) {
            job.tell(progress, tick());
        }
    }
}

/// Begins a comparison in a task of its own, unless one of this store is under way. It does not
/// end with whoever asked for it.
pub fn begin(application: &Arc<Application>, store: &StoreName) -> Result<(), Refused> {
    sides(application, store).map_err(unknown)?;
    {
        let mut known = application.known();
        if known.comparisons.get(store).is_some_and(Job::is_running) {
            return Ok(());
        }
        known.comparisons.insert(store.clone(), Job::begin());
    }
    let (work, of) = (application.clone(), store.clone());
    let made = tokio::spawn(async move {
        let mut telling = Telling { application: &work, store: &of };
        compared(&work, &of, Pace::Full, &mut telling).await
    });
    let (application, store) = (application.clone(), store.clone());
    tokio::spawn(async move {
        // A panic is an end too; nothing may go on saying that it is under way.
        let made = made.await.unwrap_or_else(|why| Err(why.to_string()));
        let mut known = application.known();
        if let Some(job) = known.comparisons.get_mut(&store) {
            job.end(made.map_err(unknown));
        }
    });
    Ok(())
}

pub fn unknown(why: String) -> Refused {
    Refused::new(
        "MS-AGENT-014",
        format!("whether both sides are equal is unknown: {why}"),
        "make it again while the link streams; see `mainstay status`",
    )
}
