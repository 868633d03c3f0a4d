//! A link of the model: it asks the source for what comes after its position, and applies it.

use super::database::{Commit, Database};
use super::stores::{Stores, refused};
use super::world::World;
use mainstay_agent::stores::{Answer, CompleteAt, Link, Paused};
use mainstay_core::position::Lsn;
use mainstay_core::{Lag, LinkPhase, LinkStatus, Position};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::{Changed, LinkSpec, WaitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(100);
const STOP: Duration = Duration::from_secs(5);

/// How far it is, and what is wished of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    received: u64,
    applied: u64,
    /// Nothing beyond is applied.
    limit: Option<u64>,
    /// It stands at its limit.
    held: bool,
}

struct Inner {
    spec: LinkSpec,
    /// Of the target's row, which knows only the newest.
    session: AtomicU64,
    ends: CancellationToken,
    stores: Arc<Stores>,
    status: watch::Sender<LinkStatus>,
    place: watch::Sender<Place>,
    /// When the source was last asked for an end that the target has since reached.
    complete: watch::Sender<Option<Instant>>,
}

pub struct Running {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

pub fn start(stores: Arc<Stores>, spec: LinkSpec) -> Running {
    let status = watch::Sender::new(LinkStatus::starting());
    let inner = Arc::new(Inner {
        spec,
        session: AtomicU64::default(),
        ends: CancellationToken::new(),
        stores,
        status,
        place: watch::Sender::default(),
        complete: watch::Sender::default(),
    });
    let work = inner.clone();
    Running { inner, task: tokio::spawn(async move { work.run().await }) }
}

/// What came from the source.
struct Batch {
    commits: Vec<Commit>,
    end: u64,
    micros: i64,
}

impl Inner {
    async fn run(&self) {
        while !self.ends.is_cancelled() {
            let Some(begun) = self.ends.run_until_cancelled(self.begin()).await else { return };
            match begun {
                Ok(position) => {
                    let place = Place { received: position, applied: position, ..Place::default() };
                    self.place.send_replace(place);
                    break;
                }
                Err(Fault::SlotMissing { place, slot }) => {
                    return self.stopped(format!("{place}: slot {slot} is missing"));
                }
                Err(why) => self.disconnected(&why),
            }
            // Time itself is the subject: virtual time, which only goes on when all wait.
            tokio::time::sleep(PAUSE).await;
        }
        let mut waiting: Vec<Commit> = Vec::new();
        while !self.ends.is_cancelled() {
            let Place { received, applied, .. } = *self.place.borrow();
            let mut source = None;
            let asked = Instant::now();
            let fetched = self.ends.run_until_cancelled(self.fetch(received, applied)).await;
            let Some(fetched) = fetched else { return };
            match fetched {
                Ok(batch) => {
                    waiting.extend(batch.commits);
                    self.place.send_modify(|place| place.received = place.received.max(batch.end));
                    // An answer that waited for a stopped process is as old as its question.
                    source = Some((batch.end, batch.micros, asked.elapsed()));
                }
                Err(Fault::SlotMissing { place, slot }) => {
                    return self.stopped(format!("{place}: slot {slot} is missing"));
                }
                Err(why) => self.disconnected(&why),
            }
            if let Err(why) = self.apply(&mut waiting).await {
                return self.stopped(why);
            }
            if source.is_some_and(|(end, ..)| self.place.borrow().applied >= end) {
                self.complete.send_replace(Some(asked));
            }
            self.tell(&waiting, source);
            // Time itself is the subject: virtual time, which only goes on when all wait.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where the target goes on; the first time it copies all. Whoever began before applies
    /// nothing any more.
    async fn begin(&self) -> Result<u64, Fault> {
        let (name, slot, epoch) = (self.spec.name(), self.spec.slot(), self.spec.epoch);
        let key = name.clone();
        let row = self.stores.at(&self.spec.target, move |database| {
            let row = database.links.entry(key).or_default();
            if row.epoch > epoch {
                return Err(refused("link", "a newer link has claimed the target"));
            }
            row.epoch = epoch;
            row.session += 1;
            Ok(row.clone())
        });
        let row = row.await?;
        self.session.store(row.session, Ordering::Relaxed);
        if let Some(position) = row.position {
            let place = self.spec.source.host.clone();
            let found = self.stores.at(&self.spec.source, move |database| {
                let known = database.slots.contains_key(&slot);
                known.then_some(position).ok_or(Fault::SlotMissing { place, slot })
            });
            return found.await;
        }
        let copied = self.stores.at(&self.spec.source, move |database| {
            database.slots.insert(slot, database.end);
            Ok((database.data.clone(), database.end))
        });
        let (data, end) = copied.await?;
        let kept = self.stores.at(&self.spec.target, move |database| {
            database.data = data;
            database.links.entry(name).or_default().position = Some(end);
            Ok(end)
        });
        kept.await
    }

    async fn fetch(&self, after: u64, applied: u64) -> Result<Batch, Fault> {
        let (slot, place) = (self.spec.slot(), self.spec.source.host.clone());
        let read = move |world: &mut World, site: usize| {
            let micros = world.micros(site);
            let database = &mut world.databases[site];
            let Some(confirmed) = database.slots.get_mut(&slot) else {
                return Err(Fault::SlotMissing { place, slot });
            };
            *confirmed = applied.max(*confirmed);
            let commits = database.after(after).to_vec();
            Ok(Batch { commits, end: database.end, micros })
        };
        self.stores.ask(&self.spec.source, read).await
    }

    /// What has arrived, in order, up to the limit.
    async fn apply(&self, waiting: &mut Vec<Commit>) -> Result<(), String> {
        let Place { received, applied, limit, .. } = *self.place.borrow();
        let until = limit.map_or(received, |limit| limit.min(received));
        if until > applied {
            let ready = waiting.partition_point(|commit| commit.lsn <= until);
            let commits: Vec<Commit> = waiting[..ready].to_vec();
            let (name, session) = (self.spec.name(), self.session.load(Ordering::Relaxed));
            let applying = self.stores.ask(&self.spec.target, move |world, site| {
                if world.now < world.sites[site].stalled_until {
                    return Err(refused("apply", "the target is slow"));
                }
                Ok(take_in(&mut world.databases[site], &name, session, &commits, until))
            });
            match applying.await {
                Ok(true) => {
                    waiting.drain(..ready);
                    let transactions = u64::try_from(ready).unwrap_or(0);
                    self.status.send_modify(|status| status.transactions += transactions);
                    self.place.send_modify(|place| place.applied = until);
                }
                Ok(false) => return Err("a newer link has claimed the target".to_owned()),
                Err(_) => {}
            }
        }
        self.place.send_modify(|place| {
            place.held = place.limit.is_some_and(|limit| place.applied >= limit);
        });
        Ok(())
    }

    fn tell(&self, waiting: &[Commit], source: Option<(u64, i64, Duration)>) {
        let Place { received, applied, .. } = *self.place.borrow();
        let position = |lsn| Some(Position::Postgres(Lsn(lsn)));
        self.status.send_modify(|status| {
            (status.applied, status.received) = (position(applied), position(received));
            let Some((end, micros, took)) = source else { return };
            status.phase = LinkPhase::Streaming;
            status.source_end = position(end);
            let age = waiting.first().map_or(0, |commit| (micros - commit.micros).max(0));
            status.lag = Lag::Known(Duration::from_micros(age.unsigned_abs()) + took);
        });
    }

    fn disconnected(&self, why: &Fault) {
        self.status.send_modify(|status| {
            status.phase = LinkPhase::Disconnected { reason: why.to_string() };
            status.lag = Lag::Unknown;
        });
    }

    fn stopped(&self, reason: String) {
        self.status.send_modify(|status| {
            status.phase = LinkPhase::Stopped { code: "MS-PG-120".to_owned(), reason };
            status.lag = Lag::Unknown;
        });
    }

    async fn reach(&self, at: u64, deadline: Duration) -> Result<Lsn, WaitError> {
        let mut place = self.place.subscribe();
        let reached = timeout(deadline, place.wait_for(|place| place.applied >= at)).await;
        match reached {
            Ok(Ok(place)) => Ok(Lsn(place.applied)),
            _ => {
                let applied = Some(Lsn(self.place.borrow().applied));
                Err(WaitError::Deadline { applied, wanted: Lsn(at), seconds: deadline.as_secs() })
            }
        }
    }
}

fn take_in(
    database: &mut Database,
    link: &str,
    session: u64,
    commits: &[Commit],
    until: u64,
) -> bool {
    let row = database.links.entry(link.to_owned()).or_default();
    if row.session != session {
        return false;
    }
    row.position = row.position.max(Some(until));
    row.commit_micros = commits.last().map(|commit| commit.micros).or(row.commit_micros);
    database.data.extend(commits.iter().map(|commit| commit.tx));
    true
}

impl Link for Running {
    fn spec(&self) -> &LinkSpec {
        &self.inner.spec
    }

    fn status(&self) -> LinkStatus {
        self.inner.status.borrow().clone()
    }

    fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.inner.status.subscribe()
    }

    fn completeness(&self) -> CompleteAt {
        let link = Arc::downgrade(&self.inner);
        Box::new(move || Some((*link.upgrade()?.complete.borrow())?.into_std()))
    }

    fn has_changed(&self) -> bool {
        false
    }

    fn drain_received(&self, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>> {
        Box::pin(async move {
            self.inner.place.send_modify(|place| (place.limit, place.held) = (None, false));
            let received = self.inner.place.borrow().received;
            self.inner.reach(received, deadline).await
        })
    }

    fn drain_to(&self, at: Lsn, deadline: Duration) -> Answer<'_, Result<Lsn, WaitError>> {
        Box::pin(self.inner.reach(at.0, deadline))
    }

    fn pause(&self, deadline: Duration) -> Answer<'_, Result<Box<dyn Paused>, WaitError>> {
        Box::pin(async move {
            let mut still = Still(self.inner.clone());
            still.advance_to(Lsn(0), deadline).await?;
            let still: Box<dyn Paused> = Box::new(still);
            Ok(still)
        })
    }

    fn stop(mut self: Box<Self>) -> Answer<'static, Option<Lsn>> {
        Box::pin(async move {
            self.inner.ends.cancel();
            let Running { inner, task } = &mut *self;
            if timeout(STOP, task).await.is_err() {
                let name = inner.spec.name();
                let ended = inner.stores.at(&inner.spec.target, move |database| {
                    database.links.entry(name).or_default().session += 1;
                    Ok(())
                });
                // A target that does not answer is guarded by the next link's claim.
                drop(ended.await);
            }
            Some(Lsn(inner.place.borrow().applied))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Still(Arc<Inner>);

impl Paused for Still {
    fn still_stands(&self) -> bool {
        self.0.place.borrow().limit.is_some()
    }

    fn take_changed(&self) -> Changed {
        Changed::default()
    }

    fn advance_to(&mut self, at: Lsn, deadline: Duration) -> Answer<'_, Result<(), WaitError>> {
        let place = self.0.place.clone();
        Box::pin(async move {
            let until = Instant::now() + deadline;
            place.send_modify(|place| {
                let applied = place.applied;
                (place.limit, place.held) = (Some(at.0.max(applied)), false);
            });
            let mut held = place.subscribe();
            let held = tokio::time::timeout_at(until, held.wait_for(|place| place.held)).await;
            match held {
                Ok(Ok(_)) => Ok(()),
                _ => Err(WaitError::NotStill { seconds: deadline.as_secs() }),
            }
        })
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.0.place.send_modify(|place| (place.limit, place.held) = (None, false));
    }
}
