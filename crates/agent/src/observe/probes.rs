//! This agent's own look at each site: does the application answer through that site's gate, does
//! that site's agent answer.

use super::repeat;
use crate::application::Application;
use crate::time::tick;
use mainstay_core::verdict::Evidence;
use mainstay_core::{SiteName, Tick, Verdict};
use mainstay_traffic::probe::{FailureKind, ProbeFailure};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    for site in application.rules.data_sites.clone() {
        let work = application.clone();
        tokio::spawn(repeat(application.rules.lease.renew_every(), shutdown.clone(), move || {
            let (work, site) = (work.clone(), site.clone());
            async move { look(&work, &site).await }
        }));
    }
}

async fn look(application: &Application, site: &SiteName) {
    let gathered = tick();
    let gate = application.spec.gates.get(site).and_then(|gate| gate.http.as_ref());
    let probed = match gate {
        Some(http) => {
            let timeout = application.rules.lease.look_timeout();
            Some(application.context.probes.http(http, timeout).await)
        }
        None => None,
    };
    let agent = agent_answers(application, site, gathered);
    let (verdict, why) = conclude(probed, agent);
    application.learn(|known| {
        let key = (known.facts.here.clone(), site.clone());
        known.evidence.insert(key, Evidence { verdict, gathered, why });
    });
}

fn agent_answers(application: &Application, site: &SiteName, now: Tick) -> bool {
    let fresh_for = application.rules.lease.fresh_for();
    let known = application.known();
    *site == known.facts.here
        || known.views.get(site).is_some_and(|(heard, _)| now.since(*heard) <= fresh_for)
}

fn conclude(probed: Option<Result<Duration, ProbeFailure>>, agent: bool) -> (Verdict, String) {
    let agent_says = if agent { "its agent answers" } else { "its agent does not answer" };
    match probed {
        Some(Ok(took)) => {
            (Verdict::Healthy, format!("the application answers in {} ms", took.as_millis()))
        }
        Some(Err(failure)) => {
            let answered =
                agent || matches!(failure.kind, FailureKind::Status(_) | FailureKind::Protocol(_));
            let verdict = if answered { Verdict::Unhealthy } else { Verdict::Unreachable };
            (verdict, format!("{failure}; {agent_says}"))
        }
        None if agent => (Verdict::Healthy, agent_says.to_owned()),
        None => (Verdict::Unreachable, agent_says.to_owned()),
    }
}
