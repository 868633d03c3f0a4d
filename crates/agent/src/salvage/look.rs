//! Looking at a salvage beside what the active site has now, and taking it out as SQL: piece by
//! piece, as long as somebody reads.

use super::decide::refused;
use super::path;
use crate::application::Application;
use crate::error::Refused;
use crate::types::SalvageSummary;
use bytes::Bytes;
use mainstay_core::estate::{PostgresEndpoint, SalvageRule, StoreKind};
use mainstay_core::{Epoch, SiteName};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::salvage::{Book, Script, Sides, Wish};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Pieces that wait for the reader.
const AHEAD: usize = 4;

/// A salvage that is kept here, and the database where it is decided.
pub struct Place {
    pub kept: SalvageSummary,
    pub active: SiteName,
    pub epoch: Epoch,
    path: PathBuf,
    endpoint: PostgresEndpoint,
    rules: BTreeMap<String, SalvageRule>,
}

impl Place {
    pub fn book(&self) -> Book<'_> {
        Book { path: &self.path, active: &self.endpoint, rules: &self.rules }
    }
}

pub fn failed(why: String) -> Refused {
    Refused::new("MS-AGENT-020", why, "see `mainstay salvage list` and `mainstay status`")
}

pub async fn place(application: &Application, id: &str) -> Result<Place, Refused> {
    let kept = application.context.memory.salvage(&application.spec.name).await;
    let kept = kept.map_err(|why| failed(why.to_string()))?;
    let kept = kept.into_iter().find(|kept| kept.id == id);
    let kept = kept.ok_or_else(|| failed(format!("there is no salvage {id:?} at this site")))?;
    if let Some(inexact) = &kept.inexact {
        let what = format!("{id} is not whole and holds rows, no transactions: {}", inexact.why);
        let advice = "look at each row with `mainstay salvage show`, and write by hand";
        return Err(Refused::new("MS-AGENT-022", what, advice));
    }
    place_of(application, kept).map_err(failed)
}

pub(super) fn place_of(application: &Application, kept: SalvageSummary) -> Result<Place, String> {
    let seen = {
        let known = application.known();
        known.facts.record.as_ref().map(|seen| (seen.record.active.clone(), seen.record.epoch))
    };
    let (active, epoch) = seen.ok_or("the coordinator has not answered yet")?;
    let store = application.spec.stores.get(&kept.store);
    let Some(StoreKind::Postgres(postgres)) = store.map(|store| &store.kind) else {
        return Err(format!("{} is not a store of the configuration", kept.store));
    };
    let endpoint = postgres.endpoints.get(&active).cloned();
    let endpoint = endpoint.ok_or_else(|| format!("{active} has no endpoint of the store"))?;
    let (path, rules) = (path(application, &kept.id), postgres.salvage.clone());
    Ok(Place { kept, active, epoch, path, endpoint, rules })
}

/// A fault breaks the answer off, so that nobody takes what came for the whole.
pub type Pieces = mpsc::Receiver<Result<Bytes, Fault>>;
type Sender = mpsc::Sender<Result<Bytes, Fault>>;

/// The transactions that are wished for, one JSON line each.
pub async fn sides(application: &Application, id: &str, wish: Wish) -> Result<Pieces, Refused> {
    let place = place(application, id).await?;
    begun(|sender| async move { send_sides(&place, wish, &sender).await }).await
}

async fn send_sides(place: &Place, wish: Wish, sender: &Sender) -> Result<(), Fault> {
    let book = place.book();
    let mut sides = Sides::open(&book, wish).await?;
    let mut heard = send(sender, String::new()).await;
    while heard && let Some(side) = sides.next().await? {
        let line = serde_json::to_string(&side).map_err(|e| Fault::SalvageUnwritable(e.into()))?;
        heard = send(sender, line + "\n").await;
    }
    Ok(())
}

/// A script for `psql`.
pub async fn script(application: &Application, id: &str, open: bool) -> Result<Pieces, Refused> {
    let place = place(application, id).await?;
    begun(|sender| async move { send_script(&place, open, &sender).await }).await
}

async fn send_script(place: &Place, open: bool, sender: &Sender) -> Result<(), Fault> {
    let book = place.book();
    let mut script = Script::open(&book, open).await?;
    let mut heard = send(sender, String::new()).await;
    while heard && let Some(piece) = script.next().await? {
        heard = send(sender, piece).await;
    }
    Ok(())
}

/// False when nobody reads any more.
async fn send(sender: &Sender, text: String) -> bool {
    sender.send(Ok(Bytes::from(text))).await.is_ok()
}

/// Waits for the empty piece that says that the work could begin, so that what keeps it from it is
/// told as a refusal.
async fn begun<F, W>(work: F) -> Result<Pieces, Refused>
where
    F: FnOnce(Sender) -> W,
    W: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    let work = work(sender.clone());
    tokio::spawn(async move {
        if let Err(fault) = work.await {
            tracing::warn!(%fault, "a salvage could not be read to its end");
            // Nobody is there to be told when the reader is gone.
            let _gone = sender.send(Err(fault)).await;
        }
    });
    match pieces.recv().await {
        Some(Ok(_)) => Ok(pieces),
        Some(Err(fault)) => Err(refused(fault)),
        None => Err(failed("the salvage could not be read".to_owned())),
    }
}
