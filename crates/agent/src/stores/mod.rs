//! What an agent asks of a PostgreSQL store, so that a simulated one can answer; of a store of any
//! kind in `at`. The decision and its effects go through here; what only people ask for (repair,
//! replay, looking at salvage) does not.

pub mod at;
mod compared;
mod real;
mod running;

pub use at::At;
pub use compared::{Compared, Progress};
pub use real::Postgres;
pub use running::{Complete, Completeness, StoreLink};

use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use mainstay_core::position::Lsn;
use mainstay_core::{Epoch, Finding, LinkStatus};
use mainstay_stores::postgres::applied::Applied;
use mainstay_stores::postgres::compare::{Comparison, Listener, Pace};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::fence::{FenceState, Fenced};
use mainstay_stores::postgres::link::{Changed, LinkSpec, WaitError};
use mainstay_stores::postgres::probe::Look;
use mainstay_stores::postgres::put_right::{Plan, PutRight, Told};
use mainstay_stores::postgres::repair::Sides;
use mainstay_stores::postgres::salvage::{Book, Summary, Survey};
use mainstay_stores::postgres::sequences::Bumped;
use mainstay_stores::postgres::slot::SlotState;
use mainstay_stores::readers::Unfit;
use std::fs::File;
use std::io::{BufReader, Write};
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Asked<'a, T> = Answer<'a, Result<T, Fault>>;

/// Every method of the same name in `mainstay_stores::postgres` says what is promised here.
pub trait Stores: Send + Sync {
    /// Makes what Mainstay keeps there; says what stands in the way.
    fn prepare<'a>(
        &'a self,
        place: &'a str,
        store: &'a PostgresStore,
        endpoint: &'a PostgresEndpoint,
    ) -> Answer<'a, Vec<Finding>>;

    fn probe<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, Box<dyn Probe>>;
    fn write<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        statement: Option<&'a str>,
    ) -> Asked<'a, ()>;

    fn fence_state<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, FenceState>;

    fn fence<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        roles: &'a [String],
        epoch: Epoch,
        within: Duration,
    ) -> Asked<'a, Fenced>;

    fn open<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        roles: &'a [String],
        epoch: Epoch,
        still: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Asked<'a, ()>;

    fn keep_readers<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        readers: &'a [String],
        open: bool,
    ) -> Asked<'a, Vec<Unfit>>;

    fn start(&self, spec: LinkSpec) -> Box<dyn Link>;

    fn bump_sequences<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        link: &'a str,
        headroom: i64,
    ) -> Asked<'a, Bumped>;

    fn copy_sequences<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        target: &'a PostgresEndpoint,
    ) -> Asked<'a, u32>;

    fn find_slot<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        slot: &'a str,
    ) -> Asked<'a, Option<SlotState>>;

    fn pin<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, Lsn>;
    fn drop_slot<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, bool>;

    fn applied<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        link: &'a str,
    ) -> Asked<'a, Option<Applied>>;

    fn take_salvage<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        slot: &'a str,
        after: Lsn,
        sink: &'a mut (dyn Write + Send),
    ) -> Asked<'a, Summary>;

    fn survey<'a>(&'a self, book: Book<'a>) -> Asked<'a, Survey>;

    fn put_right<'a>(
        &'a self,
        plan: &'a Plan,
        salvage: BufReader<File>,
        told: Told<'a>,
    ) -> Asked<'a, PutRight>;

    /// Asked before two sides are made equal by comparison, which a simulated store refuses.
    fn has_tables<'a>(&'a self, sides: &'a Sides) -> Asked<'a, bool>;

    fn compare<'a>(
        &'a self,
        pace: Pace,
        spec: &'a LinkSpec,
        held: Standing,
        listener: &'a mut dyn Listener,
    ) -> Asked<'a, Comparison>;
}

/// A session that is kept for looking again and again.
pub trait Probe: Send + Sync {
    fn look(&self) -> Asked<'_, Look>;
}

/// As of when a link's target is complete, whenever it is called.
pub type CompleteAt = Box<dyn Fn() -> Option<Instant> + Send + Sync>;

/// A running link.
pub trait Link: Send + Sync {
    fn spec(&self) -> &LinkSpec;
    fn status(&self) -> LinkStatus;
    fn watch(&self) -> watch::Receiver<LinkStatus>;
    fn completeness(&self) -> CompleteAt;
    fn has_changed(&self) -> bool;
    fn drain_received(&self, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>>;
    fn drain_to(&self, at: Lsn, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>>;
    fn pause(&self, deadline: Duration) -> Answer<'_, Result<Box<dyn Paused>, WaitError>>;
    fn stop(self: Box<Self>) -> Answer<'static, Option<Lsn>>;
}

/// A link that stands still until this is dropped.
pub trait Paused: Send + Sync {
    fn still_stands(&self) -> bool;
    fn take_changed(&self) -> Changed;
    fn advance_to(&mut self, at: Lsn, deadline: Duration) -> Answer<'_, Result<(), WaitError>>;
}

/// A link that stands still for a comparison.
pub struct Standing {
    pub paused: Box<dyn Paused>,
    /// How long it may take to reach a position.
    pub patience: Duration,
}

impl mainstay_stores::postgres::compare::Held for Standing {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.paused.advance_to(at, self.patience).await.map_err(|why| why.to_string())
    }

    fn still_stands(&self) -> bool {
        self.paused.still_stands()
    }
}
