//! Whether this site's own database of a store may be read by those that only read.
//!
//! The agent says until when, by the newest moment as of which the database is known to be complete:
//! an agent that falls silent, a link that stands still and a source that is not heard of all let
//! that moment pass, and nobody has to say so.
//! Invariant: nothing that a client says reaches a database that may not be read.

use super::shared::Shared;
use super::spec::StoreSpec;
use crate::tick;
use mainstay_core::{StoreName, Tick};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

/// How soon after its time what reads is ended; what it says is refused at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The stores that have an address for reads.
#[derive(Debug)]
pub struct Reads {
    stores: BTreeMap<StoreName, Arc<Own>>,
    /// Another database than before may be read.
    changed: Notify,
    /// Open connections of readers that were led to another site.
    away: AtomicU64,
    leaving: AtomicBool,
}

/// One store's database at this site.
#[derive(Debug, Default)]
pub struct Own {
    state: Mutex<State>,
    open: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// None: it may not be read.
    until: Option<Tick>,
    /// Ends what was admitted since it last became readable.
    cut: CancellationToken,
    told: bool,
}

/// One open connection, counted until it is dropped.
pub struct Counted<'a>(&'a AtomicU64);

impl Reads {
    pub fn new<'a>(stores: impl Iterator<Item = (&'a StoreName, &'a StoreSpec)>) -> Self {
        Self {
            stores: stores.map(|(name, _)| (name.clone(), Arc::default())).collect(),
            changed: Notify::new(),
            away: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
        }
    }

    /// As the agent says.
    pub fn allow(&self, said: &BTreeMap<StoreName, Option<Tick>>) {
        let known =
            said.iter().filter_map(|(name, until)| Some((self.stores.get_key_value(name)?, until)));
        for ((store, own), until) in known {
            if own.allow(*until, tick::now()) {
                self.changed.notify_waiters();
            }
            own.tell(store, tick::now());
        }
    }

    /// What this connection goes by, and what ends it; it is counted until it `leaves`.
    pub fn admit(&self, store: &StoreName, now: Tick) -> Option<(Arc<Own>, CancellationToken)> {
        let own = self.stores.get(store)?;
        let state = own.state();
        let cut = state.cut.clone();
        if !state.readable(now) {
            return None;
        }
        own.open.fetch_add(1, SeqCst);
        Some((Arc::clone(own), cut))
    }

    /// Ends when a database may be read that could not be.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The gate ends: what reads has as long as everything else.
    pub fn leave(&self) {
        self.leaving.store(true, SeqCst);
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.load(SeqCst)
    }

    pub fn here(&self) -> u64 {
        self.stores.values().map(|own| own.open.load(SeqCst)).sum()
    }

    pub fn away(&self) -> u64 {
        self.away.load(SeqCst)
    }

    pub fn count_away(&self) -> Counted<'_> {
        self.away.fetch_add(1, SeqCst);
        Counted(&self.away)
    }

    fn look(&self) {
        for (store, own) in &self.stores {
            let now = tick::now();
            own.enforce(now);
            own.tell(store, now);
        }
    }
}

impl Own {
    pub fn may_be_read(&self, now: Tick) -> bool {
        self.state().readable(now)
    }

    pub fn leaves(&self) {
        self.open.fetch_sub(1, SeqCst);
    }

    /// True when it may be read now and could not be before.
    fn allow(&self, until: Option<Tick>, now: Tick) -> bool {
        let mut state = self.state();
        let before = state.readable(now);
        state.until = until;
        state.enforce(now);
        !before && state.readable(now)
    }

    fn enforce(&self, now: Tick) {
        self.state().enforce(now);
    }

    fn tell(&self, store: &StoreName, now: Tick) {
        let mut state = self.state();
        let readable = state.readable(now);
        if readable == state.told {
            return;
        }
        state.told = readable;
        match readable {
            true => tracing::info!(%store, "readers are answered by this site's own database"),
            false => {
                tracing::warn!(code = "MS-GATE-041", %store, "this site's own database may not be read: readers are led elsewhere");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn readable(&self, now: Tick) -> bool {
        self.until.is_some_and(|until| now <= until)
    }

    fn enforce(&mut self, now: Tick) {
        if !self.readable(now) {
            std::mem::take(&mut self.cut).cancel();
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Ends what reads a database whose time ran out. Never ends.
pub async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        shared.reads.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_admitted_is_ended_when_its_time_runs_out_and_what_comes_later_is_not() {
        let (own, at) = (Own::default(), Tick::from_millis);
        assert!(!own.may_be_read(at(0)), "nothing was said yet");
        assert!(own.allow(Some(at(100)), at(0)));
        let first = own.state().cut.clone();
        assert!(!own.allow(Some(at(200)), at(100)), "it could be read before");
        own.enforce(at(200));
        assert!(!first.is_cancelled() && own.may_be_read(at(200)));
        own.enforce(at(201));
        assert!(first.is_cancelled() && !own.may_be_read(at(201)));
        assert!(own.allow(Some(at(300)), at(250)));
        assert!(!own.state().cut.is_cancelled());
        own.allow(None, at(260));
        assert!(!own.may_be_read(at(260)), "the agent took it back");
    }
}
