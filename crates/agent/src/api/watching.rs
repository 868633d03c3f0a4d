//! What the agents see of the sites, and what of it is a person's concern.

use crate::application::Application;
use crate::known::Known;
use crate::types::{ClientsView, Problem, ProblemKind as Kind, VantageView, WatchingView};
use mainstay_core::verdict::Evidence;
use mainstay_core::watch::{LATE, Minute};
use mainstay_core::{SiteName, Tick, Verdict};
use std::time::Duration;

/// Clients are believed against probes when those have passed for as long as the figures count.
const WINDOW: Duration = Duration::from_secs(60);

pub fn view(application: &Application, known: &Known, now: Tick) -> WatchingView {
    let lease = application.rules.lease;
    let seen = known.facts.record.as_ref();
    let follows = seen.filter(|seen| seen.record.active != known.facts.here);
    WatchingView {
        vantages: vantages(application, known, now),
        clients: clients(application, known, now),
        phi: follows.and_then(|seen| known.watching.phi(seen, lease)),
        flapping_s: known.facts.health.suppressed(now).map(|rest| rest.as_secs_f64()),
        clock: known.facts.clock.as_ref().map(ToString::to_string),
    }
}

fn vantages(application: &Application, known: &Known, now: Tick) -> Vec<VantageView> {
    let fresh_for = application.rules.lease.fresh_for();
    let view = |((vantage, about), evidence): (&(SiteName, SiteName), &Evidence)| {
        let told = known.views.get(vantage).and_then(|(_, view)| view.probes.get(about));
        let probes = match *vantage == known.facts.here {
            true => known.watching.probes(about, now),
            false => told.cloned().unwrap_or_default(),
        };
        VantageView {
            about: about.clone(),
            vantage: vantage.clone(),
            verdict: evidence.fresh(now, fresh_for),
            age_s: now.since(evidence.gathered).as_secs_f64(),
            why: evidence.why.clone(),
            probes,
        }
    };
    let mut all: Vec<VantageView> = known.evidence.iter().map(view).collect();
    all.sort_by(|a, b| (&a.about, &a.vantage).cmp(&(&b.about, &b.vantage)));
    all
}

/// Of this site's gate, and of the others' as their agents told lately.
fn clients(application: &Application, known: &Known, now: Tick) -> Vec<ClientsView> {
    let fresh_for = application.rules.lease.fresh_for();
    let heard = known.views.iter().filter(|(_, (heard, _))| now.since(*heard) <= fresh_for);
    let told = heard.filter_map(|(site, (_, view))| Some((site.clone(), view.clients?)));
    let own = own_clients(application).map(|minute| (known.facts.here.clone(), minute));
    own.into_iter()
        .chain(told)
        .map(|(site, minute)| {
            let gray = is_gray(known, &site, minute, now);
            ClientsView { site, minute, gray }
        })
        .collect()
}

pub fn own_clients(application: &Application) -> Option<Minute> {
    let report = application.context.gate.watch(&application.spec.name);
    report.borrow().as_ref().map(|report| report.minute)
}

/// Clients fail although probes pass. It is shown, and decides nothing: what probes do not see, the
/// other site may have as well.
pub fn is_gray(known: &Known, site: &SiteName, minute: Minute, now: Tick) -> bool {
    let healthy = known.watching.since(site, Verdict::Healthy, now);
    minute.is_bad() && healthy.is_some_and(|healthy| healthy >= WINDOW)
}

pub fn problems(application: &Application, known: &Known, now: Tick, found: &mut Vec<Problem>) {
    let mut push = |kind, subject: &str, what: String, advice: String| {
        found.push(Problem::new(kind, subject, what, advice));
    };
    let name = &application.spec.name;
    for clients in clients(application, known, now).iter().filter(|clients| clients.gray) {
        push(
            Kind::ClientsFail,
            clients.site.as_str(),
            format!(
                "clients fail at {}, while every probe passes: {}",
                clients.site,
                of(clients.minute)
            ),
            format!(
                "look at the application and its databases there; if it cannot be mended: \
                 mainstay plan switchover {name}, then mainstay switchover {name}"
            ),
        );
    }
    if let Some(off) = &known.facts.clock {
        push(
            Kind::ClockOff,
            "",
            format!("{off}: nothing fails over by itself meanwhile"),
            "was that machine suspended, it passes within three minutes; else look there at its \
             host, and at the clock source: cat \
             /sys/devices/system/clocksource/clocksource0/current_clocksource"
                .to_owned(),
        );
    }
    if let Some(rest) = known.facts.health.suppressed(now) {
        push(
            Kind::Flapping,
            "",
            format!(
                "the health of the active site keeps coming and going: nothing fails over by \
                 itself for another {} s",
                rest.as_secs()
            ),
            format!(
                "find out why: mainstay status --all; to move it now: mainstay plan failover \
                 {name}, then mainstay failover {name}"
            ),
        );
    }
    let late = known.facts.record.as_ref().filter(|_| known.watching.late);
    let phi = late.and_then(|seen| known.watching.phi(seen, application.rules.lease));
    if let (Some(seen), Some(phi)) = (late, phi.filter(|phi| *phi >= LATE)) {
        push(
            Kind::RenewalsLate,
            seen.record.active.as_str(),
            format!("renewals of {} are late: φ {phi:.1}", seen.record.active),
            "nothing yet: if they stay away, what follows is shown here".to_owned(),
        );
    }
}

fn of(minute: Minute) -> String {
    let Minute { requests, failed, connections, unconnected } = minute;
    let web = format!("{failed} of {requests} requests");
    let stores = format!("{unconnected} of {connections} database connections");
    match (failed > 0, unconnected > 0) {
        (true, true) => format!("{web} and {stores} in the last minute"),
        (false, true) => format!("{stores} in the last minute"),
        _ => format!("{web} in the last minute"),
    }
}
