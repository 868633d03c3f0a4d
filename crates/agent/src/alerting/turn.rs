//! Which agent tells what several of them see: the active site's, then the other sites', then the
//! witness's. One that is silent, or cannot deliver, is not waited for.

use super::loss;
use crate::application::{Application, Applications};
use mainstay_alerts::desk::Around;
use mainstay_core::{NotifierName, SiteName, Tick};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long each agent that comes first is left alone: it has to see the problem, and to say that
/// it tells it.
const GRACE: Duration = Duration::from_secs(3);

pub fn around(applications: &Applications, notifier: &NotifierName, now: Tick) -> Around {
    let mut around = Around::default();
    for application in applications.values() {
        let heard = heard(application, now);
        let known = application.known();
        for site in &heard {
            let telling = known.views.get(site).and_then(|(_, view)| view.telling.get(notifier));
            around.covered.extend(telling.into_iter().flatten().cloned());
        }
        let active = known.facts.record.as_ref().map(|seen| &seen.record.active);
        let first = heard.iter().filter(|site| {
            order(application, active, site) < order(application, active, &known.facts.here)
        });
        let first = u32::try_from(first.count()).unwrap_or(u32::MAX);
        around.ranks.insert(application.spec.name.clone(), GRACE.saturating_mul(first));
        drop(known);
        around.losses.insert(application.spec.name.clone(), loss::expected(application, now));
    }
    around
}

/// Sites whose agents were heard lately.
fn heard(application: &Application, now: Tick) -> BTreeSet<SiteName> {
    let fresh_for = application.rules.lease.fresh_for();
    let known = application.known();
    let fresh = known.views.iter().filter(|(_, (at, _))| now.since(*at) <= fresh_for);
    fresh.map(|(site, _)| site.clone()).collect()
}

fn order<'a>(
    application: &Application,
    active: Option<&SiteName>,
    site: &'a SiteName,
) -> (u8, &'a SiteName) {
    let witness = application.rules.witnesses.contains(site);
    let group = if active == Some(site) { 0 } else { 1 + u8::from(witness) };
    (group, site)
}
