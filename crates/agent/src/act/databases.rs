//! Keeping this site's databases open or fenced, as decided.

use crate::application::Application;
use crate::known::Known;
use crate::stores::at::Fenced;
use mainstay_core::decision::Databases;
use mainstay_core::{Epoch, StoreName};
use mainstay_stores::postgres::fence;
use std::sync::Arc;
use std::time::Duration;

/// A database that does not answer is tried again after this.
const PAUSE: Duration = Duration::from_millis(500);

pub fn keep(application: &Arc<Application>, wanted: Databases) {
    if is_done(&mut application.known(), wanted) {
        return;
    }
    let work = application.clone();
    application.single.databases.spawn(async move {
        // A planned move may have fenced them since, in the same epoch.
        if work.decide().databases != wanted {
            return;
        }
        if let Err(why) = make(&work, wanted).await {
            tracing::warn!(application = %work.spec.name, %why, ?wanted, "a database is not as decided");
            work.learn(|known| known.database_trouble = Some(why));
            tokio::time::sleep(PAUSE).await;
        } else {
            work.learn(|known| known.database_trouble = None);
        }
    });
}

/// Whether the databases are as wanted. They may be so although that could not be entered in the
/// ledger: its trouble is told by itself, and theirs is over.
fn is_done(known: &mut Known, wanted: Databases) -> bool {
    let done = match wanted {
        Databases::Open(epoch) => known.facts.open == Some(epoch),
        Databases::Fenced(epoch) => known.facts.open.is_none() && known.fenced >= Some(epoch),
        Databases::Leave => return true,
    };
    if done {
        known.database_trouble = None;
    }
    done
}

async fn make(application: &Application, wanted: Databases) -> Result<(), String> {
    match wanted {
        Databases::Open(epoch) => open(application, epoch).await,
        Databases::Fenced(epoch) => fence_all(application, epoch).await.map(drop),
        Databases::Leave => Ok(()),
    }
}

/// Opens every store of this site, while it may accept writes. The epoch is checked again by the
/// database itself.
pub async fn open(application: &Application, epoch: Epoch) -> Result<(), String> {
    let stores = application.context.stores.as_ref();
    for (_, store) in application.stores_here() {
        let still = || application.may_write(epoch);
        store.open(stores, epoch, &still).await.map_err(|why| why.to_string())?;
    }
    application.learn(|known| {
        known.facts.open = Some(epoch);
        known.fenced = None;
    });
    application
        .enter("opened", serde_json::json!({"epoch": epoch}))
        .await
        .map_err(|why| why.to_string())
}

/// Fences every store of this site; what each database confirmed.
pub async fn fence_all(
    application: &Application,
    epoch: Epoch,
) -> Result<Vec<(StoreName, Fenced)>, String> {
    application.learn(|known| known.facts.open = None);
    let mut fenced = Vec::new();
    let stores = application.context.stores.as_ref();
    for (name, store) in application.stores_here() {
        let done = store.fence(stores, epoch, fence::DEADLINE).await;
        let done = done.map_err(|why| why.to_string())?;
        fenced.push((name.clone(), done));
    }
    application.learn(|known| known.fenced = Some(epoch));
    let receipts: Vec<_> = fenced
        .iter()
        .map(|(store, done)| {
            serde_json::json!({
                "store": store, "sessions_cut": done.sessions_cut, "position": done.position,
            })
        })
        .collect();
    let body = serde_json::json!({"epoch": epoch, "confirmed": receipts});
    application.enter("fenced", body).await.map_err(|why| why.to_string())?;
    Ok(fenced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::{SiteName, Tick};

    #[test]
    fn databases_that_are_as_wanted_are_in_no_trouble_whatever_could_not_be_entered() {
        let (older, newer) = (Epoch::new(1), Epoch::new(2));
        let mut known = Known::new(SiteName::new("west").unwrap(), Tick::default());
        known.facts.open = Some(newer);
        for (wanted, as_wanted) in [
            (Databases::Open(newer), true),
            (Databases::Open(older), false),
            (Databases::Fenced(newer), false),
        ] {
            known.database_trouble = Some("the disk is full".to_owned());
            assert_eq!(is_done(&mut known, wanted), as_wanted, "{wanted:?}");
            assert_eq!(known.database_trouble.is_none(), as_wanted, "{wanted:?}");
        }
        (known.facts.open, known.fenced) = (None, Some(newer));
        assert!(is_done(&mut known, Databases::Fenced(older)) && known.database_trouble.is_none());
    }
}
