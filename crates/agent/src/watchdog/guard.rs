//! One application's databases, guarded.

use super::line::{Fenced, Receipts, Told};
use crate::stores::Stores;
use crate::stores::at::{At, Fault, FenceState};
use crate::time::{tick, unix_micros};
use mainstay_core::estate;
use mainstay_core::lease::Lease;
use mainstay_core::{SiteName, StoreName, Tick};
use mainstay_stores::postgres::fence;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often databases are looked at while the agent says nothing: somebody may open one late.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The agent says something five times as often.
const SILENT: Duration = Duration::from_secs(1);
const TRY_AGAIN: Duration = Duration::from_millis(200);

pub struct Guard {
    pub application: estate::Application,
    pub here: SiteName,
    pub lease: Lease,
    pub told: watch::Receiver<Told>,
    pub receipts: Receipts,
    pub stores: Arc<dyn Stores>,
    /// The newest right that was heard of.
    pub until: Tick,
}

impl Guard {
    /// Never ends by itself.
    pub async fn run(mut self) {
        let mut heard = tick();
        // The right for whose end the databases were found shut, or fenced.
        let mut settled = None;
        loop {
            let now = tick();
            let ends = self.lease.enforced_at(self.until);
            let silent = now.since(heard) >= SILENT;
            let wait = if now < ends {
                ends.since(now)
            } else if settled == Some(self.until) && !silent {
                // An agent that is well keeps shut what it knows to be shut.
                SILENT
            } else {
                settled = self.all_shut().await.then_some(self.until);
                if settled.is_some() { LOOK_AGAIN } else { TRY_AGAIN }
            };
            tokio::select! {
                biased;
                changed = self.told.changed() => match changed {
                    Ok(()) => heard = tick(),
                    Err(_) => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
            self.take_in();
        }
    }

    fn take_in(&mut self) {
        let until = self.told.borrow_and_update().until(&self.application.name);
        // A right is never taken back: only a newer one counts.
        self.until = self.until.max(until.unwrap_or_default());
    }

    /// Fences what is open. Whether nothing is open now; what is not known is not shut.
    async fn all_shut(&self) -> bool {
        let mut shut = true;
        for (name, store) in self.databases() {
            match self.shut(name, store).await {
                Ok(()) => {}
                Err(why) if why.is_unprepared() => {}
                Err(why) => {
                    tracing::warn!(store = %name, %why, "whether the database is shut is not known");
                    shut = false;
                }
            }
        }
        shut
    }

    async fn shut(&self, name: &StoreName, store: At<'_>) -> Result<(), Fault> {
        let stores = self.stores.as_ref();
        let FenceState { epoch, open } = store.fence_state(stores).await?;
        if !open {
            return Ok(());
        }
        tracing::warn!(store = %name, %epoch, "the right to write has run out: fencing");
        let done = store.fence(stores, epoch, fence::DEADLINE).await?;
        tracing::warn!(
            store = %name, %epoch, sessions_cut = done.sessions_cut, position = %done.position,
            "fenced"
        );
        self.receipts.add(Fenced {
            application: self.application.name.clone(),
            store: name.clone(),
            epoch,
            sessions_cut: done.sessions_cut,
            position: done.position,
            micros: unix_micros(),
        });
        Ok(())
    }

    fn databases(&self) -> impl Iterator<Item = (&StoreName, At<'_>)> {
        let stores = self.application.stores.iter();
        stores.filter_map(|(name, store)| Some((name, At::find(store, &self.here)?)))
    }
}
