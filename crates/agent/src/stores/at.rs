//! A store as one site has it, whatever its kind: what the decision and its effects ask of every
//! store. What only PostgreSQL has (slots, sequences, salvage, repair) is asked of `Stores`.

use super::{Probe, Stores};
use mainstay_core::estate::{
    PostgresEndpoint, PostgresStore, RedisEndpoint, RedisStore, Store, StoreKind,
};
use mainstay_core::{Epoch, Finding, Position, Severity, SiteName};
use mainstay_stores::readers::Kept;
use mainstay_stores::{postgres, redis};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    Postgres(&'a PostgresStore, &'a PostgresEndpoint),
    Redis(&'a RedisStore, &'a RedisEndpoint),
}

/// What went wrong at a store.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Postgres(#[from] postgres::fault::Fault),
    #[error(transparent)]
    Redis(#[from] redis::fault::Fault),
}

/// What a confirmed fence found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenced {
    pub sessions_cut: u32,
    /// Nothing of the application was written after this.
    pub position: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceState {
    pub epoch: Epoch,
    /// The application may write there.
    pub open: bool,
}

/// What one look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The end of what is durable.
    pub position: Position,
    /// Opened by Mainstay, and the server was not restarted since.
    pub open: bool,
    /// The application may write there, whoever let it in.
    pub admits: bool,
}

/// A session that is kept for looking again and again.
pub enum Looking {
    Postgres(Box<dyn Probe>),
    Redis(redis::probe::Probe),
}

impl<'a> At<'a> {
    /// None where the store has no endpoint at the site.
    pub fn find(store: &'a Store, site: &SiteName) -> Option<Self> {
        Some(match &store.kind {
            StoreKind::Postgres(it) => At::Postgres(it, it.endpoints.get(site)?),
            StoreKind::Redis(it) => At::Redis(it, it.endpoints.get(site)?),
        })
    }

    /// Who only reads, and may do so at every site.
    pub fn readers(self) -> &'a [String] {
        match self {
            At::Postgres(store, _) => &store.readers,
            At::Redis(store, _) => &store.readers,
        }
    }

    /// How old what readers are answered through a gate may be.
    pub fn max_lag(self) -> Duration {
        match self {
            At::Postgres(store, _) => store.max_lag,
            At::Redis(store, _) => store.max_lag,
        }
    }

    /// Lets those in that can only read, and keeps out those that could write where it is not
    /// `open`. A server that loses what it had when it is killed lets nobody in before its link was
    /// complete in that run of it.
    pub async fn keep_readers(
        self,
        stores: &dyn Stores,
        open: bool,
        complete_in: Option<&str>,
    ) -> Result<Kept, Fault> {
        match self {
            At::Postgres(store, endpoint) => {
                let unfit = stores.keep_readers(endpoint, &store.readers, open).await?;
                Ok(Kept { unfit, let_in: true })
            }
            At::Redis(store, endpoint) => {
                Ok(redis::readers::keep(endpoint, &store.readers, open, complete_in).await?)
            }
        }
    }

    /// Makes what Mainstay keeps there; says what stands in the way.
    pub async fn prepare(self, stores: &dyn Stores, place: &str) -> Vec<Finding> {
        match self {
            At::Postgres(store, endpoint) => stores.prepare(place, store, endpoint).await,
            // Nothing is made there before the first fence or opening.
            At::Redis(store, endpoint) => {
                let mut found = redis::check::endpoint(place, endpoint, &store.users).await;
                found.retain(|finding| finding.severity == Severity::Error);
                found
            }
        }
    }

    pub async fn probe(self, stores: &dyn Stores) -> Result<Looking, Fault> {
        Ok(match self {
            At::Postgres(_, endpoint) => Looking::Postgres(stores.probe(endpoint).await?),
            At::Redis(store, endpoint) => {
                Looking::Redis(redis::probe::Probe::open(endpoint, &store.users).await?)
            }
        })
    }

    /// A real write.
    pub async fn write(self, stores: &dyn Stores) -> Result<(), Fault> {
        match self {
            At::Postgres(_, endpoint) => Ok(stores.write(endpoint, None).await?),
            At::Redis(_, endpoint) => Ok(redis::probe::write(endpoint).await?),
        }
    }

    pub async fn fence_state(self, stores: &dyn Stores) -> Result<FenceState, Fault> {
        match self {
            At::Postgres(_, endpoint) => {
                let seen = stores.fence_state(endpoint).await?;
                Ok(FenceState { epoch: seen.epoch, open: seen.open })
            }
            At::Redis(store, endpoint) => {
                let seen = redis::fence::state(endpoint, &store.users).await?;
                Ok(FenceState { epoch: seen.epoch, open: seen.admits })
            }
        }
    }

    /// Fences, or says what is still able to write after `within`.
    pub async fn fence(
        self,
        stores: &dyn Stores,
        epoch: Epoch,
        within: Duration,
    ) -> Result<Fenced, Fault> {
        match self {
            At::Postgres(store, endpoint) => {
                let done = stores.fence(endpoint, &store.roles, epoch, within).await?;
                let position = Position::Postgres(done.position);
                Ok(Fenced { sessions_cut: done.sessions_cut, position })
            }
            At::Redis(store, endpoint) => {
                let done = redis::fence::fence(endpoint, &store.users, epoch, within).await?;
                let position = Position::Redis(done.position);
                Ok(Fenced { sessions_cut: done.connections_cut, position })
            }
        }
    }

    /// Lets the application in, if `still` says that it may.
    pub async fn open(
        self,
        stores: &dyn Stores,
        epoch: Epoch,
        still: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), Fault> {
        match self {
            At::Postgres(store, endpoint) => {
                Ok(stores.open(endpoint, &store.roles, epoch, still).await?)
            }
            At::Redis(store, endpoint) => {
                Ok(redis::fence::open(endpoint, &store.users, epoch, still).await?)
            }
        }
    }
}

impl Looking {
    pub async fn look(&self) -> Result<Look, Fault> {
        match self {
            Looking::Postgres(probe) => {
                let seen = probe.look().await?;
                let (position, open) = (Position::Postgres(seen.position), seen.fence.open);
                Ok(Look { position, open, admits: open })
            }
            Looking::Redis(probe) => {
                let seen = probe.look().await?;
                let redis::fence::FenceState { open, admits, .. } = seen.fence;
                Ok(Look { position: Position::Redis(seen.position), open, admits })
            }
        }
    }
}

impl Fault {
    /// Nothing was ever opened there.
    pub fn is_unprepared(&self) -> bool {
        matches!(self, Fault::Postgres(postgres::fault::Fault::NotPrepared { .. }))
    }

    /// It answered, and a fence is out of the question as things are.
    pub fn is_refusal(&self) -> bool {
        match self {
            Fault::Postgres(why) => matches!(
                why,
                postgres::fault::Fault::StaleEpoch { .. }
                    | postgres::fault::Fault::RoleUnfit { .. }
            ),
            Fault::Redis(why) => why.is_refusal(),
        }
    }
}
