//! What a failover would lose if it happened now, as this agent can tell.

use crate::application::Application;
use crate::known::Known;
use mainstay_alerts::alert::Loss;
use mainstay_core::decision::loss_bound;
use mainstay_core::{SiteName, StoreName, Tick};
use std::time::Duration;

pub fn expected(application: &Application, now: Tick) -> Loss {
    let known = application.known();
    let Some(seen) = &known.facts.record else { return Loss::Unknown };
    let rules = &application.rules;
    let silent = now.since(seen.changed) > rules.lease.suspicious_after();
    // What the active site accepted last bounds it, once it is silent.
    let bound = loss_bound(rules, &known.facts, seen).filter(|_| silent);
    let active = &seen.record.active;
    let of_stores = || {
        let stores = rules.stores.iter().map(|store| behind(&known, store, active, now));
        stores.collect::<Option<Vec<Duration>>>()?.into_iter().max()
    };
    bound.or_else(of_stores).map_or(Loss::Unknown, Loss::AtMost)
}

/// For how long nothing of the store has surely arrived: by the link here, or else by what another
/// agent last told, however long ago that is.
fn behind(known: &Known, store: &StoreName, active: &SiteName, now: Tick) -> Option<Duration> {
    let here = known.links.get(store).filter(|link| link.from == *active);
    if let Some(link) = here {
        return link.complete_until.map(|until| now.since(until));
    }
    let told = known.views.values().filter_map(|(heard, view)| {
        let link = view.links.get(store).filter(|link| link.from == *active)?;
        Some(link.status.lag.known()? + now.since(*heard))
    });
    told.min()
}
