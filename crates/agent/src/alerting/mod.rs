//! People are told: of what is wrong, when it begins and when it ends, and of what happened. The
//! problems are the ones that `status` shows; what happened is read from the ledger. Each notifier
//! has a task of its own, so that one that hangs delays nothing else.
//!
//! Invariant: what several agents see is told by at least one of them; twice rather than never.

mod event;
mod loss;
mod outlet;
mod turn;
mod watch;

use crate::agent::Agent;
use crate::error::AgentError;
use crate::memory::Memory;
use crate::types::{NotifierView, Problem, ProblemKind, Tried};
use mainstay_core::estate::Estate;
use mainstay_core::{ApplicationName, NotifierName, SiteName, Tick};
use outlet::Outlet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many failures in a row are no accident.
const FAILS_AFTER: u32 = 2;

/// The notifiers of this agent.
pub struct Alerting {
    here: SiteName,
    outlets: BTreeMap<NotifierName, Arc<Outlet>>,
}

impl Alerting {
    /// With what waited when this agent last ended.
    pub async fn open(estate: &Estate, memory: &Memory) -> Result<Self, AgentError> {
        let mut outlets = BTreeMap::new();
        for (name, spec) in &estate.alerts {
            let kept = memory.desk(name).await?;
            outlets.insert(name.clone(), Arc::new(Outlet::new(name, spec, kept)?));
        }
        Ok(Self { here: estate.here.clone(), outlets })
    }

    fn outlets(&self) -> impl Iterator<Item = &Arc<Outlet>> {
        self.outlets.values()
    }

    /// Notifiers that do not deliver: told by the others. One that serves several applications is
    /// shown with each.
    pub fn problems(&self, application: &ApplicationName) -> Vec<Problem> {
        self.outlets().filter_map(|outlet| self.failing(outlet, application)).collect()
    }

    fn failing(&self, outlet: &Outlet, application: &ApplicationName) -> Option<Problem> {
        let desk = outlet.desk();
        let trouble = desk.trouble().filter(|it| it.failures >= FAILS_AFTER)?;
        if !desk.spec().covers(application) {
            return None;
        }
        let (name, here) = (desk.name(), &self.here);
        let what = format!("alerts by {name} are not delivered from {here}: {}", trouble.why);
        let advice = format!("mend it (MS-ALERT-002), and try it: mainstay alerts test {name}");
        let subject = format!("{name} at {here}");
        Some(Problem::new(ProblemKind::NotifierFails, subject, what, advice))
    }

    /// What this agent tells of one application, for the others to leave to it.
    pub fn telling(
        &self,
        application: &ApplicationName,
        now: Tick,
    ) -> BTreeMap<NotifierName, BTreeSet<String>> {
        let own = format!("{application}/");
        let covers = |outlet: &Arc<Outlet>| {
            let desk = outlet.desk();
            let keys = desk.covers(now).into_iter().filter(|key| key.starts_with(&own)).collect();
            (desk.name().clone(), keys)
        };
        self.outlets().map(covers).collect()
    }

    pub fn views(&self, now: Tick) -> Vec<NotifierView> {
        self.outlets().map(|outlet| outlet.view(now)).collect()
    }

    /// Sends a marked test by one notifier, or by all, at once.
    pub async fn test(&self, only: Option<&NotifierName>, by: &str) -> Vec<Tried> {
        let chosen = self.outlets().filter(|it| only.is_none_or(|only| it.name() == only));
        let tries = chosen.map(|outlet| outlet.test(&self.here, by));
        futures::future::join_all(tries).await
    }
}

/// Starts what tells people, unless nobody is to be told.
pub fn start(agent: &Agent, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let alerting = &agent.context.alerts;
    if alerting.outlets.is_empty() {
        return;
    }
    tasks.spawn(watch::run(agent.clone(), shutdown.clone()));
    for outlet in alerting.outlets() {
        tasks.spawn(outlet::run(outlet.clone(), agent.context.clone(), shutdown.clone()));
    }
}
