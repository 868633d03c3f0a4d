//! One application as this agent looks after it: what is known of it, and the loop that asks the
//! core what to do and has it done.

use crate::act;
use crate::api::types::{Execution, Return};
use crate::context::Context;
use crate::error::AgentError;
use crate::known::Known;
use crate::memory::Epochs;
use crate::once::Once;
use mainstay_core::decision::{Action, Databases, Decision, Rules, State, decide};
use mainstay_core::lease::Lease;
use mainstay_core::{Epoch, SiteName, StoreName, estate};
use mainstay_stores::postgres::link::Link;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The decision is asked at least so often; facts that arrive ask at once.
const BEAT: Duration = Duration::from_millis(100);

pub struct Application {
    pub context: Arc<Context>,
    pub spec: estate::Application,
    pub rules: Rules,
    known: Mutex<Known>,
    changed: Notify,
    /// Links that run at this site. The lock is held while links are started, drained or stopped.
    pub links: tokio::sync::Mutex<BTreeMap<StoreName, RunningLink>>,
    pub single: Singles,
}

/// A link and the epoch that it was started in.
pub struct RunningLink {
    pub link: Link,
    pub epoch: Epoch,
    pub from: SiteName,
}

/// Work of which at most one runs at a time.
#[derive(Default)]
pub struct Singles {
    pub renew: Once,
    pub promises: Once,
    pub found: Once,
    pub claim: Once,
    pub take_back: Once,
    pub databases: Once,
    pub links: Once,
    pub execution: Once,
    pub returning: Once,
}

impl Application {
    pub fn new(context: Arc<Context>, spec: estate::Application, epochs: Epochs) -> Arc<Self> {
        let rules = rules(&context.estate, &spec);
        let mut known = Known::new(context.here().clone(), context.started);
        known.facts.witness = context.is_witness();
        known.facts.is_home = spec.home == *context.here();
        known.facts.highest = epochs.highest;
        known.facts.promoted = epochs.promoted;
        Arc::new(Self {
            context,
            spec,
            rules,
            known: Mutex::new(known),
            changed: Notify::new(),
            links: tokio::sync::Mutex::default(),
            single: Singles::default(),
        })
    }

    pub fn here(&self) -> &SiteName {
        self.context.here()
    }

    /// What is known now. Held only for short reads and writes, never over an await.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a fact, and has the decision asked anew.
    pub fn learn<T>(&self, learn: impl FnOnce(&mut Known) -> T) -> T {
        let learned = learn(&mut self.known());
        self.changed.notify_one();
        learned
    }

    pub fn decide(&self) -> Decision {
        let now = crate::time::tick();
        let mut known = self.known();
        known.refresh(&self.rules, now);
        decide(&self.rules, &known.facts, now)
    }

    /// Remembers the epochs durably before anything is done with them.
    pub async fn remember(&self, epochs: Epochs) -> Result<(), AgentError> {
        self.context.memory.keep_epochs(&self.spec.name, epochs).await?;
        self.learn(|known| {
            known.facts.highest = known.facts.highest.max(epochs.highest);
            known.facts.promoted = known.facts.promoted.max(epochs.promoted);
        });
        Ok(())
    }

    pub fn epochs(&self) -> Epochs {
        let known = self.known();
        Epochs { highest: known.facts.highest, promoted: known.facts.promoted }
    }

    pub async fn keep_execution(&self, execution: &Execution) -> Result<(), AgentError> {
        self.context.memory.keep_execution(execution).await?;
        self.learn(|known| known.execution = Some(execution.clone()));
        Ok(())
    }

    pub async fn keep_returning(&self, returning: &Return) -> Result<(), AgentError> {
        self.context.memory.keep_returning(&self.spec.name, &returning.store, returning).await?;
        self.learn(|known| {
            known.returns.insert(returning.store.clone(), returning.clone());
        });
        Ok(())
    }

    /// Enters something in the ledger. A ledger that cannot be written is told to people, and
    /// keeps automatic moves from being begun; it does not stop what serves.
    pub async fn enter(
        &self,
        kind: &'static str,
        body: serde_json::Value,
    ) -> Result<(), AgentError> {
        let entered = self.context.ledger.append(kind, self.spec.name.as_str(), &body).await;
        let trouble = entered.as_ref().err().map(ToString::to_string);
        let before =
            self.learn(|known| std::mem::replace(&mut known.ledger_trouble, trouble.clone()));
        if trouble != before {
            tracing::warn!(application = %self.spec.name, ?trouble, "the ledger");
        }
        entered
    }
}

fn rules(estate: &estate::Estate, spec: &estate::Application) -> Rules {
    let sites = |witness: bool| -> BTreeSet<SiteName> {
        let of_kind = estate.sites.iter().filter(|(_, site)| site.witness == witness);
        of_kind.map(|(name, _)| name.clone()).collect()
    };
    Rules {
        lease: Lease::new(spec.lease),
        mode: spec.failover,
        rpo: spec.objectives.rpo,
        cool_down: spec.cool_down,
        witnesses: sites(true),
        data_sites: sites(false),
        stores: spec.stores.keys().cloned().collect(),
    }
}

/// Asks and does until shutdown.
pub async fn run(application: Arc<Application>, shutdown: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = beat.tick() => {}
            () = application.changed.notified() => {}
        }
        let decision = application.decide();
        note_state(&application, &decision, &mut before).await;
        carry_out(&application, decision);
    }
    act::links::stop_all(&application).await;
}

/// Every change of state is in the ledger before what follows from it is done.
async fn note_state(
    application: &Arc<Application>,
    decision: &Decision,
    before: &mut Option<(State, Epoch)>,
) {
    let epoch = application.known().facts.highest;
    let now = (decision.state, epoch);
    if *before == Some(now) {
        return;
    }
    let hindrances: Vec<String> = decision.hindrances.iter().map(ToString::to_string).collect();
    tracing::info!(
        application = %application.spec.name, %epoch, state = decision.state.name(), ?hindrances,
        "state"
    );
    let body = serde_json::json!({
        "epoch": epoch, "state": decision.state.name(), "hindrances": hindrances,
    });
    application.learn(|known| known.note_state(decision.state));
    *before = Some(now);
    // A failed entry is already told, and tried again; see `enter` and `observe::ledger`.
    let _told = application.enter("state", body).await;
}

fn carry_out(application: &Arc<Application>, decision: Decision) {
    act::gate::direct(application, decision.posture);
    if decision.databases != Databases::Leave {
        act::databases::keep(application, decision.databases);
    }
    act::links::keep(application, decision.state);
    act::returning::keep(application, decision.state);
    act::execution::resume_abandoned(application);
    for action in decision.actions {
        carry_out_action(application, action);
    }
}

fn carry_out_action(application: &Arc<Application>, action: Action) {
    match action {
        Action::Found => act::renewal::found(application),
        Action::Renew => act::renewal::renew(application),
        Action::AskPromises => act::promises::ask(application),
        Action::TakeBack => act::handover::take_back(application),
        Action::Claim { from, ordered } => act::claim::claim(application, from, ordered),
        Action::Promote => act::execution::promote(application),
    }
}
