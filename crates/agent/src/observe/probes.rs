//! This agent's own look at each site: what its probes see there, whether that site's agent answers,
//! and what follows from both.

use super::probe;
use super::repeat;
use crate::api::watching::{is_gray, own_clients};
use crate::application::Application;
use crate::time::tick;
use crate::watching::Told;
use mainstay_core::verdict::Evidence;
use mainstay_core::watch::{Conclusion, Tally, conclude};
use mainstay_core::{SiteName, Tick, Verdict};
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let lease = application.rules.lease;
    for site in application.rules.data_sites.clone() {
        for (name, spec) in probe::of(application, &site) {
            let tally = Tally::new(spec.cadence, lease);
            let mut known = application.known();
            let tallies = known.watching.tallies.entry(site.clone()).or_default();
            tallies.insert(name.clone(), tally);
            drop(known);
            let made = probe::run(application.clone(), site.clone(), name.clone());
            tokio::spawn(shutdown.clone().run_until_cancelled_owned(made));
        }
        let work = application.clone();
        tokio::spawn(repeat(lease.renew_every(), shutdown.clone(), move || {
            let (work, site) = (work.clone(), site.clone());
            async move { look(&work, &site).await }
        }));
    }
}

/// Concludes anew, and enters in the ledger what has changed by it.
pub async fn look(application: &Application, site: &SiteName) {
    for (kind, body) in take_in(application, site, tick()) {
        tracing::info!(application = %application.spec.name, kind, %body, "watching");
        // A failed entry is already told, and tried again; see `enter` and `observe::ledger`.
        let _told = application.enter(kind, body).await;
    }
}

fn take_in(application: &Application, site: &SiteName, now: Tick) -> Vec<Told> {
    let Conclusion { verdict, why } = concluded(application, site, now);
    let minute = own_clients(application);
    let fresh_for = application.rules.lease.fresh_for();
    application.learn(|known| {
        let here = known.facts.here.clone();
        let mut told = Vec::new();
        told.extend(known.watching.turn_verdict(site, verdict, &why, now));
        let active = known.facts.record.as_ref().map(|seen| seen.record.active.clone());
        if active.as_ref() == Some(site) {
            let health = known.uncontradicted(site, verdict, now, fresh_for);
            known.facts.health.take(health, now);
            let rest = known.facts.health.suppressed(now);
            told.extend(known.watching.turn_flapping(site, rest));
        }
        if let Some(minute) = minute.filter(|_| *site == here) {
            let gray = is_gray(known, site, minute, now);
            if std::mem::replace(&mut known.watching.clients_fail, gray) != gray {
                let kind = if gray { "clients-fail" } else { "clients-served" };
                told.push((kind, json!({"site": site, "minute": minute})));
            }
        }
        known.evidence.insert((here, site.clone()), Evidence { verdict, gathered: now, why });
        told
    })
}

/// By the probes that this agent can make; where there are none at all, by the other agent's word.
fn concluded(application: &Application, site: &SiteName, now: Tick) -> Conclusion {
    let agent = agent_answers(application, site, now);
    let known = application.known();
    let probed = known.watching.probed(site);
    if probed.is_empty() && !application.spec.probes.is_empty() {
        let why = "this agent holds no credentials for any of the probes".to_owned();
        return Conclusion { verdict: Verdict::Unknown, why };
    }
    conclude(&probed, agent, now)
}

fn agent_answers(application: &Application, site: &SiteName, now: Tick) -> bool {
    let fresh_for = application.rules.lease.fresh_for();
    let known = application.known();
    *site == known.facts.here
        || known.views.get(site).is_some_and(|(heard, _)| now.since(*heard) <= fresh_for)
}
