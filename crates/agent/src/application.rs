//! One application as this agent looks after it: what is known of it and what runs for it.

use crate::context::Context;
use crate::error::AgentError;
use crate::known::Known;
use crate::memory::Epochs;
use crate::once::Once;
use crate::people::requests::Requests;
use crate::runbook::words::Words;
use crate::stores::{At, StoreLink};
use crate::types::{Execution, Return};
use mainstay_core::decision::{Decision, Rules, decide, writes_until};
use mainstay_core::lease::Lease;
use mainstay_core::{ApplicationName, Epoch, Record, SiteName, StoreName, Tick, estate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The applications of one agent, by name.
pub type Applications = Arc<BTreeMap<ApplicationName, Arc<Application>>>;

pub struct Application {
    pub context: Arc<Context>,
    pub spec: estate::Application,
    pub rules: Rules,
    known: Mutex<Known>,
    changed: Notify,
    remembering: tokio::sync::Mutex<()>,
    /// Links that run at this site. The lock is held while links are started, drained or stopped.
    pub links: tokio::sync::Mutex<BTreeMap<StoreName, RunningLink>>,
    /// Kept by a recheck while a link stands still for it: whoever else wants that waits so long.
    pub standing: tokio::sync::Mutex<()>,
    pub single: Singles,
    /// What waits for another person's approval.
    pub requests: Requests,
    /// What people answer an execution that is conducted here.
    pub words: Words,
    /// The active site is in doubt: whoever waits to look at it looks at once.
    pub hurry: Notify,
}

/// A link and the epoch that it was started in.
pub struct RunningLink {
    pub link: StoreLink,
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
    pub fencing: Once,
    pub take_back: Once,
    pub databases: Once,
    pub readers: Once,
    pub links: Once,
    pub execution: Once,
    pub returning: Once,
    pub repair: Once,
    pub recheck: Once,
    pub salvage: Once,
    pub names: Once,
}

impl Application {
    pub fn new(context: Arc<Context>, spec: estate::Application, epochs: Epochs) -> Arc<Self> {
        let rules = rules(&context.estate, &spec);
        let mut known = Known::new(context.here().clone(), context.started);
        known.facts.witness = context.is_witness();
        known.facts.is_home = spec.home == *context.here();
        known.facts.highest = epochs.highest;
        known.facts.promoted = epochs.promoted;
        known.reads.agreed = (rules.data_sites.len() > 2).then_some(context.started);
        Arc::new(Self {
            context,
            spec,
            rules,
            known: Mutex::new(known),
            changed: Notify::new(),
            remembering: tokio::sync::Mutex::default(),
            links: tokio::sync::Mutex::default(),
            standing: tokio::sync::Mutex::default(),
            single: Singles::default(),
            requests: Requests::default(),
            words: Words::default(),
            hurry: Notify::new(),
        })
    }

    pub fn here(&self) -> &SiteName {
        self.context.here()
    }

    /// The stores that have an endpoint at this site.
    pub fn stores_here(&self) -> impl Iterator<Item = (&StoreName, At<'_>)> {
        let stores = self.spec.stores.iter();
        stores.filter_map(|(name, store)| Some((name, At::find(store, self.here())?)))
    }

    /// Those of them that have readers.
    pub fn stores_with_readers(&self) -> impl Iterator<Item = (&StoreName, At<'_>)> {
        self.stores_here().filter(|(_, at)| !at.readers().is_empty())
    }

    /// The store that a person means who names none where only PostgreSQL has what is asked for.
    pub fn first_postgres(&self) -> Option<&StoreName> {
        let stores = self.spec.stores.iter();
        let mut ours = stores.filter(|(_, it)| matches!(it.kind, estate::StoreKind::Postgres(_)));
        ours.next().map(|(name, _)| name)
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

    /// Resolves when something was learned since it last did.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn decide(&self) -> Decision {
        let now = crate::time::tick();
        let mut known = self.known();
        known.facts.clock = self.context.clocks.off(self.here(), now);
        known.refresh(&self.rules, now);
        decide(&self.rules, &known.facts, now)
    }

    /// Until when this site may accept writes, and in which epoch.
    pub fn writes_until(&self) -> Option<(Epoch, Tick)> {
        let known = self.known();
        let epoch = known.facts.record.as_ref()?.record.epoch;
        writes_until(&self.rules, &known.facts).map(|until| (epoch, until))
    }

    pub fn may_write(&self, epoch: Epoch) -> bool {
        let now = crate::time::tick();
        self.writes_until().is_some_and(|(of, until)| of == epoch && now < until)
    }

    /// Remembers the epochs durably before anything is done with them. None of them goes back,
    /// also when two tasks do so at once.
    pub async fn remember(&self, epochs: Epochs) -> Result<(), AgentError> {
        let _alone = self.remembering.lock().await;
        let Epochs { highest, promoted } = self.epochs();
        let highest = highest.max(epochs.highest);
        let promoted = promoted.max(epochs.promoted);
        self.context.memory.keep_epochs(&self.spec.name, Epochs { highest, promoted }).await?;
        self.learn(|known| {
            known.facts.highest = highest;
            known.facts.promoted = promoted;
        });
        Ok(())
    }

    /// Remembers a newer epoch durably, before anything is done with it.
    pub async fn remember_epoch(&self, epoch: Epoch) -> Result<(), AgentError> {
        let known = self.epochs();
        match epoch > known.highest {
            true => self.remember(Epochs { highest: epoch, ..known }).await,
            false => Ok(()),
        }
    }

    /// Remembers durably what this site is about to ask to take over from.
    pub async fn keep_claim(&self, from: &Record) -> Result<(), AgentError> {
        self.context.memory.keep_claim(&self.spec.name, from).await?;
        self.learn(|known| known.facts.claiming = Some(from.clone()));
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
        let before = std::mem::replace(&mut self.known().ledger_trouble, trouble.clone());
        // What cannot be entered is often due again at once: the same trouble wakes nobody.
        if trouble != before {
            self.changed.notify_one();
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
    let means = spec.fencing.iter().filter(|(_, means)| !means.is_empty());
    Rules {
        lease: Lease::new(spec.lease),
        mode: spec.failover,
        rpo: spec.objectives.rpo,
        cool_down: spec.cool_down,
        witnesses: sites(true),
        data_sites: sites(false),
        stores: spec.stores.keys().cloned().collect(),
        fenced_from_outside: means.map(|(site, _)| site.clone()).collect(),
        fence_after: spec.fence_after,
    }
}
