//! Making what Mainstay keeps in each database of this site. Before the first time both sides are
//! checked, and nothing is touched while the check finds an error: a publication, for instance,
//! stops updates of a table that has no key.

use super::databases::here;
use crate::application::Application;
use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use mainstay_core::{Finding, StoreName};
use std::sync::Arc;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

pub fn start(application: &Arc<Application>) {
    let work = application.clone();
    tokio::spawn(async move {
        for (store, postgres, endpoint) in here(&work) {
            until_prepared(&work, store, postgres, endpoint).await;
        }
        work.learn(|known| {
            known.prepared = true;
            known.findings.clear();
        });
    });
}

async fn until_prepared(
    application: &Application,
    store: &StoreName,
    postgres: &PostgresStore,
    endpoint: &PostgresEndpoint,
) {
    let place = format!("applications.{}.stores.{store}", application.spec.name);
    loop {
        let findings = application.context.stores.prepare(&place, postgres, endpoint).await;
        if findings.is_empty() {
            return;
        }
        let before =
            application.learn(|known| std::mem::replace(&mut known.findings, findings.clone()));
        for finding in findings.iter().filter(|finding| !before.contains(finding)) {
            let Finding { code, place, what, advice, .. } = finding;
            tracing::error!(code, place, what, advice, "a database is not prepared");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
