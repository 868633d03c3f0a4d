//! What is active, what is behind, what is wrong, and what to type next.

mod problems;

use super::watching;
use crate::application::Application;
use crate::application::Applications;
use crate::context::Context;
use crate::coordinator::Coordinator;
use crate::known::Known;
use crate::time::{tick, unix_micros};
use crate::types::{
    ApplicationStatus, CoordinatorView, EqualityView, Execution, LinkView, PauseView, ReadsView,
    Return, SiteView, Status,
};
use mainstay_core::decision::State;
use mainstay_core::estate::CoordinatorPlace;
use mainstay_core::{Posture, SiteName, Tick, Verdict};
use problems::problems;
use std::collections::BTreeMap;

pub fn status(context: &Context, applications: &Applications) -> Status {
    Status {
        here: context.here().clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        coordinator: coordinator(context),
        applications: applications.values().map(|it| of(it)).collect(),
    }
}

fn coordinator(context: &Context) -> CoordinatorView {
    let (kind, site) = match &context.estate.coordinator {
        CoordinatorPlace::Embedded { site } => ("embedded", Some(site.clone())),
        CoordinatorPlace::Etcd(_) => ("etcd", None),
    };
    let members = match &context.coordinator {
        Coordinator::Etcd(etcd) => etcd.members(),
        Coordinator::Here(_) | Coordinator::There(_) => Vec::new(),
    };
    CoordinatorView { kind: kind.to_owned(), site, members }
}

fn of(application: &Application) -> ApplicationStatus {
    let decision = application.decide();
    let now = tick();
    let known = application.known();
    let record = known.facts.record.as_ref().map(|seen| &seen.record);
    let answered = known.coordinator_answers(&application.rules, now);
    ApplicationStatus {
        name: application.spec.name.clone(),
        epoch: record.map(|it| it.epoch).unwrap_or_default(),
        active: record.map(|it| it.active.clone()),
        home: Some(application.spec.home.clone()),
        state: decision.state.name().to_owned(),
        serving: matches!(decision.posture, Some(Posture::Serve { .. })),
        coordinator: answered,
        coordinator_silent_since_micros: known
            .coordinator_answered
            .filter(|_| !answered)
            .map(|at| unix_micros() - micros(now.since(at))),
        rto_s: application.spec.objectives.rto.as_secs_f64(),
        rpo_s: application.spec.objectives.rpo.as_secs_f64(),
        links: links(application, &known, now),
        sites: sites(application, &known, now),
        execution: newest_execution(&known),
        returning: returning(&known, now),
        equality: equality(application, &known, now),
        reads: reads(application, &known, decision.state, now),
        names: known.names.iter().filter_map(|(name, it)| it.view(name)).collect(),
        pause: known.facts.pause.as_ref().and_then(|seen| seen.left(now)).map(PauseView::from),
        watching: watching::view(application, &known, now),
        problems: problems(application, &known, &decision, answered, now),
    }
}

/// Links of this site, and those that other agents told of lately.
fn links(application: &Application, known: &Known, now: Tick) -> Vec<LinkView> {
    let mut links: Vec<LinkView> = known.links.values().map(|it| it.view()).collect();
    let fresh_for = application.rules.lease.fresh_for();
    for (heard, view) in known.views.values() {
        if now.since(*heard) <= fresh_for {
            links.extend(view.links.values().cloned());
        }
    }
    links
}

/// As links: of this site, and as other agents told lately.
fn equality(application: &Application, known: &Known, now: Tick) -> Vec<EqualityView> {
    let fresh_for = application.rules.lease.fresh_for();
    let heard = known.views.values().filter(|(heard, _)| now.since(*heard) <= fresh_for);
    let told = heard.flat_map(|(_, view)| view.equality.clone());
    known.equality().into_iter().chain(told).collect()
}

/// Of this site, and as other agents told lately.
fn reads(application: &Application, known: &Known, state: State, now: Tick) -> Vec<ReadsView> {
    let fresh_for = application.rules.lease.fresh_for();
    let heard = known.views.values().filter(|(heard, _)| now.since(*heard) <= fresh_for);
    let told = heard.flat_map(|(_, view)| view.reads.clone());
    crate::reads::views(application, known, state, now).into_iter().chain(told).collect()
}

fn sites(application: &Application, known: &Known, now: Tick) -> BTreeMap<SiteName, SiteView> {
    let sites = application.context.estate.sites.iter();
    sites
        .map(|(name, site)| (name.clone(), site_view(application, known, name, site.witness, now)))
        .collect()
}

fn site_view(
    application: &Application,
    known: &Known,
    name: &SiteName,
    witness: bool,
    now: Tick,
) -> SiteView {
    let fresh_for = application.rules.lease.fresh_for();
    if witness {
        let here = *name == known.facts.here;
        let heard = known.views.get(name).is_some_and(|(at, _)| now.since(*at) <= fresh_for);
        let (verdict, why) = if here || heard {
            (Verdict::Healthy, "its agent answers")
        } else {
            (Verdict::Unreachable, "its agent does not answer")
        };
        return SiteView { verdict: verdict.name().to_owned(), why: why.to_owned(), witness };
    }
    let evidence = known.evidence.get(&(known.facts.here.clone(), name.clone()));
    let verdict = evidence.map_or(Verdict::Unknown, |it| it.fresh(now, fresh_for));
    let why = evidence.map_or_else(|| "not looked at yet".to_owned(), |it| it.why.clone());
    SiteView { verdict: verdict.name().to_owned(), why, witness }
}

pub fn newest_execution(known: &Known) -> Option<Execution> {
    let told = known.views.values().filter_map(|(_, view)| view.execution.as_ref());
    told.chain(known.execution.as_ref()).max_by_key(|it| it.started_micros).cloned()
}

/// This site's way back in this epoch, or one that another site tells of.
pub fn returning(known: &Known, now: Tick) -> Option<Return> {
    let epoch = known.facts.record.as_ref()?.record.epoch;
    let told = || {
        let views = known.views.values().filter_map(|(_, view)| view.returning.as_ref());
        views.filter(|it| it.epoch == epoch).min_by_key(|it| it.phase).cloned()
    };
    known.shown_return(now).or_else(told)
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
