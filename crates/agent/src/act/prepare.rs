//! Making what Mainstay keeps in each database of this site. Before the first time both sides are
//! checked, and nothing is touched while the check finds an error: a publication, for instance,
//! stops updates of a table that has no key.

use crate::application::Application;
use crate::stores::At;
use mainstay_core::{Finding, StoreName};
use std::sync::Arc;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

pub fn start(application: &Arc<Application>) {
    let work = application.clone();
    tokio::spawn(async move {
        for (name, store) in work.stores_here() {
            until_prepared(&work, name, store).await;
        }
        work.learn(|known| {
            known.prepared = true;
            known.findings.clear();
        });
    });
}

async fn until_prepared(application: &Application, name: &StoreName, store: At<'_>) {
    let place = format!("applications.{}.stores.{name}", application.spec.name);
    loop {
        let findings = store.prepare(application.context.stores.as_ref(), &place).await;
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
