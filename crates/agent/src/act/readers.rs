//! Letting those in that only read, and keeping out those that could write.

use crate::application::Application;
use crate::known::KnownLink;
use crate::reads::Looked;
use crate::stores::At;
use crate::time::tick;
use mainstay_core::{LinkPhase, StoreName};
use mainstay_stores::readers::Kept;
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
        for (name, at) in work.stores_with_readers() {
            look(&work, name, at).await;
        }
    });
}

fn is_due(application: &Application) -> bool {
    let known = application.known();
    let open = known.facts.open.is_some();
    let due = |name: &StoreName| match known.reads.readers.get(name) {
        None => true,
        Some(looked) => {
            // Where a server was started anew, its link is the first to know.
            let streams = |it: &KnownLink| it.status.phase == LinkPhase::Streaming;
            let lost = known.reads.run(name).is_some()
                && known.links.get(name).is_some_and(|link| !streams(link));
            let soon = looked.trouble.is_some() || looked.waiting || lost;
            let every = if soon { PAUSE } else { EVERY };
            looked.open != open || tick().since(looked.at) >= every
        }
    };
    known.prepared && application.stores_with_readers().any(|(name, ..)| due(name))
}

async fn look(application: &Application, name: &StoreName, at: At<'_>) {
    let (open, run) = {
        let known = application.known();
        (known.facts.open.is_some(), known.reads.run(name).map(str::to_owned))
    };
    let stores = application.context.stores.as_ref();
    let found = at.keep_readers(stores, open, run.as_deref()).await;
    let mut known = application.known();
    let looked = known.reads.readers.entry(name.clone());
    match found {
        Ok(Kept { unfit, let_in }) => {
            let before = looked.or_default();
            for one in unfit.iter().filter(|one| !before.unfit.contains(one)) {
                tracing::error!(
                    code = one.code, store = %name, reader = one.reader, why = one.why,
                    mend = one.mend, open, "a reader could write"
                );
            }
            *before = Looked { at: tick(), open, waiting: !let_in, unfit, trouble: None };
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
