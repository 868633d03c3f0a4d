//! Whether a failover to this site would get through its steps, as far as that can be seen without
//! touching anything. Looked at every five minutes.

use super::own::{self, Around};
use super::{Defined, pin, runbook_of};
use crate::application::Application;
use crate::known::Known;
use crate::time::unix_micros;
use crate::types::{Execution, ExecutionKind, Problem, ProblemKind, Readiness};
use futures::FutureExt;
use futures::future::BoxFuture;
use mainstay_core::SiteName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(300);
/// A look at all steps together; what takes longer is told as not looked at.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn start(application: &Arc<Application>, shutdown: &CancellationToken) {
    let (work, shutdown) = (application.clone(), shutdown.clone());
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = beat.tick() => look(&work).await,
            }
        }
    });
}

/// Each change is in the ledger.
async fn look(application: &Application) {
    let found = missing(application, ExecutionKind::Failover).await;
    let all =
        found.into_iter().flat_map(|(step, why)| why.into_iter().map(move |it| (step.clone(), it)));
    let now = Readiness { looked_micros: unix_micros(), missing: all.collect() };
    let before = application.learn(|known| known.readiness.replace(now.clone()));
    let was = before.map(|before| before.missing).unwrap_or_default();
    if was != now.missing {
        let body = serde_json::json!({"missing": now.missing});
        // A ledger that cannot be written is told by `enter` itself.
        let _told = application.enter("readiness", body).await;
    }
}

/// Of each step of a move to this site what it would lack now.
pub async fn missing(application: &Application, kind: ExecutionKind) -> Vec<(String, Vec<String>)> {
    let name = runbook_of(&application.spec, kind, application.here());
    let execution = super::planned(application, kind);
    let steps = pin(&application.spec, name).steps;
    let mut looks: Vec<BoxFuture<'_, (String, Vec<String>)>> = Vec::new();
    for step in &steps {
        let Defined::Own(own) = step else { continue };
        if own.settings.to.as_ref().is_none_or(|to| to == application.here()) {
            looks.push(look_at(Around::new(application, own, name, &execution)).boxed());
        }
    }
    futures::future::join_all(looks).await
}

async fn look_at(around: Around<'_>) -> (String, Vec<String>) {
    let late = || vec![format!("it could not be looked at within {} s", PATIENCE.as_secs())];
    let looked = tokio::time::timeout(PATIENCE, own::missing(&around)).await;
    (around.own.name.clone(), looked.unwrap_or_else(|_| late()))
}

/// For `status`: what this site lacks, and what the others say they lack.
pub fn problems(known: &Known) -> Vec<Problem> {
    let active = known.facts.record.as_ref().map(|seen| &seen.record.active);
    let told =
        known.views.iter().filter_map(|(site, (_, view))| Some((site, view.readiness.as_ref()?)));
    let own = known.readiness.as_ref().map(|it| (&known.facts.here, it));
    let all = told.chain(own).filter(|(site, _)| Some(*site) != active);
    all.filter_map(|(site, readiness)| problem(site, readiness)).collect()
}

fn problem(site: &SiteName, readiness: &Readiness) -> Option<Problem> {
    let (step, why) = readiness.missing.first()?;
    let more = match readiness.missing.len() {
        1 => String::new(),
        all => format!("; and {} more", all - 1),
    };
    let what = format!("a failover to {site} would fail today at {step}: {why}{more}");
    let advice = "mend it, and look again: mainstay plan failover";
    Some(Problem::new(ProblemKind::NotReady, site, what, advice))
}

/// Why an execution is stuck, and what to type.
pub fn asked(execution: &Execution) -> (String, String) {
    if let Some(question) = execution.questions.first() {
        let answers: Vec<&str> = question.answers.iter().map(|it| it.name()).collect();
        let advice = format!("look, then type: mainstay run {} --reason TEXT", answers.join(" | "));
        return (format!("{}: {}", question.step, question.what), advice);
    }
    let failed = execution.steps.iter().rfind(|step| !step.detail.is_empty());
    let why = failed.map(|step| format!("{}: {}", step.name, step.detail)).unwrap_or_default();
    (why, "mend the cause; the step is tried again by itself".to_owned())
}
