//! How much of each salvage waits for a person. The active site counts, when it took over and
//! after each decision, and tells the other sites.

use super::look::place_of;
use crate::application::Application;
use crate::types::SalvageStates;
use mainstay_core::Epoch;
use mainstay_core::decision::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(5);

pub fn keep_counted(application: &Arc<Application>, state: State) {
    let Some((epoch, changes)) = due(application, state) else { return };
    let work = application.clone();
    application.single.salvage.spawn(async move {
        match count(&work).await {
            Ok(salvages) => work.learn(|known| {
                known.salvages = salvages;
                known.salvage_counted = Some((epoch, changes));
            }),
            Err(why) => {
                tracing::warn!(application = %work.spec.name, why, "salvage is not counted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

/// A site that is not active knows nothing of its own, and believes the one that is.
fn due(application: &Application, state: State) -> Option<(Epoch, u64)> {
    let mut known = application.known();
    let Some(epoch) = known.facts.open.filter(|_| state == State::Active) else {
        known.salvages.clear();
        known.salvage_counted = None;
        return None;
    };
    let now = (epoch, known.salvage_changes);
    (known.salvage_counted != Some(now)).then_some(now)
}

async fn count(application: &Application) -> Result<BTreeMap<String, SalvageStates>, String> {
    let kept = application.context.memory.salvage(&application.spec.name).await;
    let mut counted = BTreeMap::new();
    let kept = kept.map_err(|why| why.to_string())?;
    for kept in kept.into_iter().filter(|kept| kept.inexact.is_none()) {
        let id = kept.id.clone();
        let place = place_of(application, kept)?;
        let survey = application.context.stores.survey(place.book()).await;
        let survey = survey.map_err(|why| why.to_string())?;
        let states = SalvageStates {
            open: survey.open,
            replayed: survey.replayed,
            rejected: survey.rejected,
            kept: survey.kept,
        };
        counted.insert(id, states);
    }
    Ok(counted)
}
