//! Letting those in that only read, and keeping out those that could write.

use crate::application::Application;
use crate::reads::Looked;
use crate::time::tick;
use mainstay_core::StoreName;
use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use std::sync::Arc;
use std::time::Duration;

/// What a role may do changes rarely, and by people.
const EVERY: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks at the readers now and then, and at once when the databases were opened or fenced.
pub fn keep(application: &Arc<Application>) {
    if application.single.readers.is_taken() || !is_due(application) {
        return;
    }
    let work = application.clone();
    application.single.readers.spawn(async move {
        for (name, store, endpoint) in work.stores_with_readers() {
            look(&work, name, store, endpoint).await;
        }
    });
}

fn is_due(application: &Application) -> bool {
    let known = application.known();
    let open = known.facts.open.is_some();
    let due = |name: &StoreName| match known.reads.readers.get(name) {
        None => true,
        Some(looked) => {
            let every = if looked.trouble.is_some() { PAUSE } else { EVERY };
            looked.open != open || tick().since(looked.at) >= every
        }
    };
    known.prepared && application.stores_with_readers().any(|(name, ..)| due(name))
}

async fn look(
    application: &Application,
    name: &StoreName,
    store: &PostgresStore,
    endpoint: &PostgresEndpoint,
) {
    let open = application.known().facts.open.is_some();
    let stores = application.context.stores.as_ref();
    let found = stores.keep_readers(endpoint, &store.readers, open).await;
    let mut known = application.known();
    let looked = known.reads.readers.entry(name.clone());
    match found {
        Ok(unfit) => {
            let before = looked.or_default();
            for one in unfit.iter().filter(|one| !before.unfit.contains(one)) {
                tracing::error!(
                    code = "MS-PG-319", store = %name, role = one.role, why = one.why,
                    mend = one.mend, open, "a reader could write"
                );
            }
            *before = Looked { at: tick(), open, unfit, trouble: None };
        }
        // Not looked at is not fit: there is no entry before the first time.
        Err(why) => {
            let trouble = why.to_string();
            match looked {
                std::collections::btree_map::Entry::Occupied(mut before) => {
                    let before = before.get_mut();
                    (before.at, before.trouble) = (tick(), Some(trouble));
                }
                std::collections::btree_map::Entry::Vacant(_) => {
                    tracing::warn!(store = %name, trouble, "the readers cannot be looked at");
                }
            }
        }
    }
}
