//! PostgreSQL itself.

use super::{Answer, Asked, CompleteAt, Link, Paused, Probe, Standing, Stores};
use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use mainstay_core::position::Lsn;
use mainstay_core::{Epoch, Finding, LinkStatus, Severity};
use mainstay_stores::postgres::applied::{self, Applied};
use mainstay_stores::postgres::compare::{self, Comparison, Listener, Pace};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::fence::{self, FenceState, Fenced};
use mainstay_stores::postgres::link::{self, Changed, LinkSpec, WaitError};
use mainstay_stores::postgres::put_right::{self, Plan, PutRight, Told};
use mainstay_stores::postgres::readers;
use mainstay_stores::postgres::repair::{Sides, delta};
use mainstay_stores::postgres::salvage::{self, Book, Summary, Survey};
use mainstay_stores::postgres::sequences::{self, Bumped};
use mainstay_stores::postgres::slot::{self, SlotState};
use mainstay_stores::postgres::{check, probe, setup};
use mainstay_stores::readers::Unfit;
use std::fs::File;
use std::io::{BufReader, Write};
use std::time::Duration;
use tokio::sync::watch;

pub struct Postgres;

impl Stores for Postgres {
    fn prepare<'a>(
        &'a self,
        place: &'a str,
        store: &'a PostgresStore,
        endpoint: &'a PostgresEndpoint,
    ) -> Answer<'a, Vec<Finding>> {
        Box::pin(prepare(place, store, endpoint))
    }

    fn probe<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, Box<dyn Probe>> {
        Box::pin(async move {
            let probe: Box<dyn Probe> = Box::new(probe::Probe::open(endpoint).await?);
            Ok(probe)
        })
    }

    fn write<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        statement: Option<&'a str>,
    ) -> Asked<'a, ()> {
        Box::pin(probe::write(endpoint, statement))
    }

    fn fence_state<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, FenceState> {
        Box::pin(fence::state(endpoint))
    }

    fn fence<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        roles: &'a [String],
        epoch: Epoch,
        within: Duration,
    ) -> Asked<'a, Fenced> {
        Box::pin(fence::fence_within(endpoint, roles, epoch, within))
    }

    fn open<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        roles: &'a [String],
        epoch: Epoch,
        still: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Asked<'a, ()> {
        Box::pin(fence::open(endpoint, roles, epoch, still))
    }

    fn keep_readers<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        readers: &'a [String],
        open: bool,
    ) -> Asked<'a, Vec<Unfit>> {
        Box::pin(readers::keep(endpoint, readers, open))
    }

    fn start(&self, spec: LinkSpec) -> Box<dyn Link> {
        Box::new(link::start(spec))
    }

    fn bump_sequences<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        link: &'a str,
        headroom: i64,
    ) -> Asked<'a, Bumped> {
        Box::pin(sequences::bump(target, link, headroom))
    }

    fn copy_sequences<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        target: &'a PostgresEndpoint,
    ) -> Asked<'a, u32> {
        Box::pin(sequences::copy_exact(source, target))
    }

    fn find_slot<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        slot: &'a str,
    ) -> Asked<'a, Option<SlotState>> {
        Box::pin(slot::find(endpoint, slot))
    }

    fn pin<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, Lsn> {
        Box::pin(slot::pin(endpoint, slot))
    }

    fn drop_slot<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, bool> {
        Box::pin(slot::drop_slot(endpoint, slot))
    }

    fn applied<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        link: &'a str,
    ) -> Asked<'a, Option<Applied>> {
        Box::pin(applied::read(target, link))
    }

    fn take_salvage<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        slot: &'a str,
        after: Lsn,
        sink: &'a mut (dyn Write + Send),
    ) -> Asked<'a, Summary> {
        Box::pin(salvage::take(source, slot, after, sink))
    }

    fn survey<'a>(&'a self, book: Book<'a>) -> Asked<'a, Survey> {
        Box::pin(async move { salvage::survey(&book).await })
    }

    fn put_right<'a>(
        &'a self,
        plan: &'a Plan,
        salvage: BufReader<File>,
        told: Told<'a>,
    ) -> Asked<'a, PutRight> {
        Box::pin(put_right::run_told(plan, salvage, told))
    }

    fn has_tables<'a>(&'a self, sides: &'a Sides) -> Asked<'a, bool> {
        Box::pin(delta::has_tables(sides))
    }

    fn compare<'a>(
        &'a self,
        pace: Pace,
        spec: &'a LinkSpec,
        held: Standing,
        listener: &'a mut dyn Listener,
    ) -> Asked<'a, Comparison> {
        Box::pin(compare::run_at(pace, &spec.source, &spec.target, held, listener))
    }
}

/// What stands in the way; nothing when the database is prepared.
async fn prepare(place: &str, store: &PostgresStore, endpoint: &PostgresEndpoint) -> Vec<Finding> {
    let failed =
        |why: Fault| vec![Finding::error(why.code(), place, why.to_string(), "it is tried again")];
    match setup::is_prepared(endpoint).await {
        Ok(true) => {}
        Ok(false) => {
            let mut findings = check::findings(place, store).await;
            findings.retain(|finding| finding.severity == Severity::Error);
            if !findings.is_empty() {
                return findings;
            }
        }
        Err(why) => return failed(why),
    }
    setup::prepare(endpoint).await.err().map(failed).unwrap_or_default()
}

impl Probe for probe::Probe {
    fn look(&self) -> Asked<'_, probe::Look> {
        Box::pin(probe::Probe::look(self))
    }
}

impl Link for link::Link {
    fn spec(&self) -> &LinkSpec {
        link::Link::spec(self)
    }

    fn status(&self) -> LinkStatus {
        link::Link::status(self)
    }

    fn watch(&self) -> watch::Receiver<LinkStatus> {
        link::Link::watch(self)
    }

    fn completeness(&self) -> CompleteAt {
        Box::new(link::Link::completeness(self))
    }

    fn has_changed(&self) -> bool {
        link::Link::has_changed(self)
    }

    fn drain_received(&self, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>> {
        Box::pin(link::Link::drain_received(self, deadline))
    }

    fn drain_to(&self, at: Lsn, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>> {
        Box::pin(link::Link::drain_to(self, at, deadline))
    }

    fn pause(&self, deadline: Duration) -> Answer<'_, Result<Box<dyn Paused>, WaitError>> {
        Box::pin(async move {
            let paused: Box<dyn Paused> = Box::new(link::Link::pause(self, deadline).await?);
            Ok(paused)
        })
    }

    fn stop(self: Box<Self>) -> Answer<'static, Option<Lsn>> {
        Box::pin(link::Link::stop(*self))
    }
}

impl Paused for link::Paused {
    fn still_stands(&self) -> bool {
        link::Paused::still_stands(self)
    }

    fn take_changed(&self) -> Changed {
        link::Paused::take_changed(self)
    }

    fn advance_to(&mut self, at: Lsn, deadline: Duration) -> Answer<'_, Result<(), WaitError>> {
        Box::pin(link::Paused::advance_to(self, at, deadline))
    }
}
