//! The applying side: from the queue into the target, in transactions that carry the position.
//!
//! One load at a time is taken when nothing is under way; while much waits, a second lane prepares
//! the next batch beside it. What goes wrong in a merged or parallel manner is done again alone,
//! and then change by change: only that error is final.

use super::ahead::Ahead;
use super::failure::{LinkError, Verdict};
use super::flight::{Flight, Landed};
use super::flush::{self, Flusher};
use super::lane::{At, Lane, Load, Manner};
use super::queue::Taken;
use super::sequences;
use super::shared::{Progress, SequenceValue, Shared, Side, Wish};
use crate::backoff::Backoff;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mainstay_core::estate::Durability;
use mainstay_core::position::Lsn;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often an idle applier looks around.
const IDLE: Duration = Duration::from_millis(200);
/// How often the position is moved when no change does.
const PERSIST: Duration = Duration::from_secs(1);
/// A session that lasted this long is not one of a series of failures.
const LASTED: Duration = Duration::from_millis(500);
/// A second lane begins beside a batch of so many changes when as many wait.
const BESIDE: usize = 1_000;

/// How the applying side ended.
pub(super) enum End {
    /// The holder of the link wants it to stop; nothing is under way.
    Stopped,
    /// What is in the queue does not fit the target any more: begin again at its position.
    Reset,
    /// The queue was closed, and all of it is applied.
    Drained,
    Failed(LinkError),
}

/// Applies until it cannot, connecting again by itself.
pub(super) async fn apply(shared: &Shared) -> End {
    let mut wish = shared.wish.subscribe();
    let mut backoff = Backoff::default();
    loop {
        let start = Instant::now();
        let error = match session(shared, &mut wish).await {
            Ok(end) => return end,
            Err(error) => error,
        };
        if let Verdict::Stop(_) = error.verdict() {
            return End::Failed(error);
        }
        if start.elapsed() > LASTED {
            backoff.succeeded();
        }
        tracing::warn!(link = %shared.spec.name(), %error, "the link lost its target; trying again");
        shared.target(Side::Down(error.to_string()));
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = stop_wished(&mut wish) => return End::Stopped,
        }
    }
}

/// Ready when the link is to stop.
pub(super) async fn stop_wished(wish: &mut watch::Receiver<Wish>) {
    // Without its sender nobody holds the link any more.
    drop(wish.wait_for(|wish| wish.stop).await);
}

async fn session(shared: &Shared, wish: &mut watch::Receiver<Wish>) -> Result<End, LinkError> {
    let opened = tokio::select! {
        opened = Lane::open(shared) => opened?,
        () = stop_wished(wish) => return Ok(End::Stopped),
    };
    let Some((lane, at)) = opened else { return Ok(End::Reset) };
    // What an earlier session had in hand and did not return is no longer in the queue.
    if shared.queue.is_in_hand() {
        return Ok(End::Reset);
    }
    // A target that has lost commits gets them again, from the source.
    if shared.was_beyond(at.position) {
        return Ok(End::Reset);
    }
    shared.queue.discard_through(at.position);
    shared.found(at.position, at.commit_micros);
    shared.target(Side::Up);
    let applier = Applier {
        shared,
        at,
        durable: at.position,
        covered: at.position,
        persisted: Instant::now(),
        flusher: Flusher::new(),
        lanes: vec![lane],
        flights: FuturesUnordered::new(),
        order: VecDeque::new(),
        numbers: 0,
        alone_until: Lsn::default(),
        exactly_until: Lsn::default(),
        ahead: Ahead::default(),
        sequences: sequences::Written::default(),
    };
    applier.run(wish).await
}

struct Applier<'a> {
    shared: &'a Shared,
    /// What is committed at the target, of this session's knowledge.
    at: At,
    /// What is on the target's disk.
    durable: Lsn,
    /// Everything that ends there or before is applied, and perhaps not yet told to the target.
    covered: Lsn,
    /// When the position was last moved without a change.
    persisted: Instant,
    flusher: Flusher,
    /// Lanes that have nothing to do.
    lanes: Vec<Lane>,
    flights: FuturesUnordered<futures::future::BoxFuture<'static, Landed>>,
    /// Of the flights, oldest first: only the first one may commit.
    order: VecDeque<Flight>,
    numbers: u64,
    /// No second lane until this is applied: side by side failed.
    alone_until: Lsn,
    /// Change by change until this is applied: merged failed.
    exactly_until: Lsn,
    ahead: Ahead,
    sequences: sequences::Written,
}

impl Applier<'_> {
    async fn run(mut self, wish: &mut watch::Receiver<Wish>) -> Result<End, LinkError> {
        loop {
            let now = *wish.borrow_and_update();
            if self.durable < self.at.position {
                self.flusher.begin(&self.shared.spec, self.at);
            }
            if !self.order.is_empty() {
                if !now.stop {
                    self.start_beside(now).await;
                }
                self.land(now).await?;
                continue;
            }
            if now.stop {
                self.ahead.take_back().await;
                self.persist(true).await?;
                return Ok(End::Stopped);
            }
            match self.shared.queue.take(self.limit(now)) {
                Taken::Batch(batch) if batch.transactions.is_empty() => {
                    self.cover(batch.position);
                    self.shared.queue.done(0);
                    self.persist(false).await?;
                }
                Taken::Batch(batch) => self.start(Load::Batch(batch)),
                Taken::Spooled(spooled) => {
                    match self.ahead.commit(self.at.position, &spooled).await {
                        Some(changes) => {
                            self.landed(spooled.commit.end_lsn, Some(spooled.commit.commit_micros));
                            self.shared.queue.done(0);
                            self.shared.count(1, changes);
                        }
                        None => self.start(Load::Spooled(spooled)),
                    }
                }
                Taken::Piece(piece) => {
                    if !self.lanes.iter().any(Lane::skips) {
                        self.ahead.apply(self.shared, self.at.position, &piece).await;
                    }
                    self.shared.queue.forget(piece.bytes);
                }
                Taken::Withdrawn => self.ahead.take_back().await,
                Taken::Closed => {
                    self.ahead.take_back().await;
                    self.persist(true).await?;
                    return Ok(End::Drained);
                }
                Taken::Limit => self.idle(now, true, wish).await?,
                Taken::Empty => self.idle(now, false, wish).await?,
            }
        }
    }

    /// How far loads may be taken: what is to be applied exactly is not merged with what follows.
    fn limit(&self, now: Wish) -> Option<Lsn> {
        let exactly = Some(self.exactly_until).filter(|until| *until > self.covered);
        [now.limit.map(|limit| limit.at), exactly].into_iter().flatten().min()
    }

    /// The only one under way.
    fn start(&mut self, load: Load) {
        let Some(lane) = self.lanes.pop() else { return };
        let exactly = load.position() <= self.exactly_until;
        let manner = if exactly { Manner::Exactly } else { Manner::Merged };
        // Whoever comes beside it could hold a lock that it waits for.
        let wide = !exactly && load.changes() >= BESIDE;
        let company = wide && load.position() > self.alone_until;
        self.fly(lane, load, self.at.position, manner, company || self.ahead.is_open());
    }

    fn fly(&mut self, lane: Lane, load: Load, from: Lsn, manner: Manner, guarded: bool) {
        self.numbers += 1;
        let (flight, landing) = Flight::start(self.numbers, lane, load, from, manner, guarded);
        self.order.push_back(flight);
        self.flights.push(landing);
    }

    /// A second one, while much waits.
    async fn start_beside(&mut self, now: Wish) {
        let (Some(first), 1) = (self.order.front(), self.order.len()) else { return };
        if !first.may_have_company() || first.position() <= self.alone_until {
            return;
        }
        let limit = now.limit.map(|limit| limit.at);
        let Some(batch) = self.shared.queue.take_beside(limit, BESIDE) else { return };
        if self.lanes.is_empty() {
            match Lane::beside(self.shared, self.at.position).await {
                Ok(lane) => self.lanes.push(lane),
                // The first one goes on, and finds out by itself when the target is gone.
                Err(error) => {
                    tracing::debug!(link = %self.shared.spec.name(), %error, "no second lane");
                    self.alone_until = batch.position;
                    self.shared.queue.put_back(batch);
                    return;
                }
            }
        }
        let (Some(first), Some(lane)) = (self.order.front_mut(), self.lanes.pop()) else {
            self.shared.queue.put_back(batch);
            return;
        };
        let (from, before) = (first.position(), first.before());
        self.fly(lane, Load::Batch(batch), from, Manner::Beside(before), true);
    }

    /// Waits for one that is under way, or for more to do beside the only one.
    async fn land(&mut self, now: Wish) -> Result<(), LinkError> {
        let more = !now.stop && self.order.len() == 1;
        let landed = tokio::select! {
            landed = self.flights.next() => landed,
            flushed = self.flusher.ended() => return flushed.map(|at| self.on_disk(at)),
            () = self.shared.queue.filled(), if more => return Ok(()),
        };
        let Some(landed) = landed else { return Ok(()) };
        let first = self.order.front().is_some_and(|flight| flight.number == landed.number);
        match (landed.outcome, first) {
            (Ok(changes), true) => {
                self.succeeded(landed.lane, landed.load, changes);
                Ok(())
            }
            (Ok(_), false) => Err(self.out_of_order()),
            (Err(error), true) => self.first_failed(landed.lane, landed.load, error).await,
            (Err(error), false) => self.second_failed(landed.lane, landed.load, error).await,
        }
    }

    fn succeeded(&mut self, lane: Lane, load: Load, changes: u64) {
        self.lanes.push(lane);
        if load.may_change_tables() {
            self.lanes.iter_mut().for_each(Lane::forget);
        }
        self.landed(load.position(), load.commit_micros());
        let (transactions, bytes) = match load {
            Load::Batch(batch) => (batch.transactions.len() as u64, batch.bytes),
            Load::Spooled(_) => (1, 0),
        };
        self.shared.queue.done(bytes);
        self.shared.count(transactions, changes);
        if let Some(first) = self.order.pop_front() {
            first.committed();
        }
    }

    /// The batch beside another one is done again, alone.
    async fn second_failed(
        &mut self,
        mut lane: Lane,
        load: Load,
        error: LinkError,
    ) -> Result<(), LinkError> {
        tracing::debug!(link = %self.shared.spec.name(), %error, "a second lane gives up");
        self.order.pop_back();
        self.alone_until = load.position();
        lane.roll_back(error).await;
        if !lane.is_lost() {
            self.lanes.push(lane);
        }
        self.put_back(load);
        Ok(())
    }

    /// Done again with more care, unless it was done with all care, or the connection is lost.
    async fn first_failed(
        &mut self,
        mut lane: Lane,
        load: Load,
        error: LinkError,
    ) -> Result<(), LinkError> {
        let guarded = self.order.front().is_some_and(Flight::is_guarded);
        // Without its commit the second one gives up.
        self.order.pop_front();
        while let Some(second) = self.flights.next().await {
            self.second_failed(second.lane, second.load, self.out_of_order()).await?;
        }
        let error = lane.roll_back(error).await;
        let position = load.position();
        let exactly = position <= self.exactly_until;
        self.put_back(load);
        self.ahead.take_back().await;
        if lane.is_lost() {
            return Err(lane.lost());
        }
        if !error.depends_on_manner(guarded) || (exactly && !guarded) {
            return Err(error);
        }
        tracing::debug!(link = %self.shared.spec.name(), %error, "applying change by change");
        self.lanes.push(lane);
        self.alone_until = self.alone_until.max(position);
        if !error.is_lock() {
            self.exactly_until = position;
        }
        Ok(())
    }

    fn put_back(&mut self, load: Load) {
        match load {
            Load::Batch(batch) => self.shared.queue.put_back(batch),
            Load::Spooled(spooled) => self.shared.queue.put_back_spooled(spooled),
        }
    }

    fn out_of_order(&self) -> LinkError {
        let place = crate::postgres::connect::place(&self.shared.spec.target);
        LinkError::Overtaken { place, expected: self.at.position }
    }

    /// The target committed everything up to `position`.
    fn landed(&mut self, position: Lsn, commit_micros: Option<i64>) {
        self.at.position = position;
        self.at.commit_micros = commit_micros.or(self.at.commit_micros);
        self.shared.committed(position);
        // Before those who wait are told, so that they see no lag of what is applied.
        self.cover(position);
        if self.shared.spec.durability == Durability::EachCommit {
            self.on_disk(self.at);
        }
    }

    /// The target has everything up to `at` on its disk.
    fn on_disk(&mut self, at: At) {
        self.durable = self.durable.max(at.position);
        self.shared.positioned(self.durable, at.commit_micros);
        self.shared.covered(self.covered);
    }

    fn cover(&mut self, position: Lsn) {
        self.covered = self.covered.max(position);
        self.shared.covered(self.covered);
    }

    /// Nothing to apply now. `beyond`: what comes next lies beyond the limit.
    async fn idle(
        &mut self,
        now: Wish,
        beyond: bool,
        wish: &mut watch::Receiver<Wish>,
    ) -> Result<(), LinkError> {
        self.persist(now.wanted.is_some() || now.limit.is_some()).await?;
        self.write_sequences().await?;
        self.hold(now, beyond);
        if let Some(lane) = self.lanes.iter().find(|lane| lane.is_lost()) {
            return Err(lane.lost());
        }
        let wait = if self.durable < self.at.position { flush::EVERY } else { IDLE };
        tokio::select! {
            flushed = self.flusher.ended() => self.on_disk(flushed?),
            () = self.shared.queue.filled(), if !beyond => {}
            changed = wish.changed() => if changed.is_err() { std::future::pending().await },
            () = tokio::time::sleep(wait) => {}
        }
        Ok(())
    }

    /// Says that everything up to the limit is applied and durable, and nothing beyond.
    fn hold(&self, now: Wish, beyond: bool) {
        let held = now.limit.filter(|limit| beyond || self.covered >= limit.at);
        let progress = Progress { applied: Some(self.durable), held };
        self.shared.progress.send_if_modified(|last| std::mem::replace(last, progress) != progress);
    }

    /// Moves the position where no change does: now and then, or at once and onto the disk.
    async fn persist(&mut self, at_once: bool) -> Result<(), LinkError> {
        let due = match at_once {
            true => self.covered > self.durable,
            false => self.covered > self.at.position && self.persisted.elapsed() >= PERSIST,
        };
        let Some(lane) = self.lanes.first_mut().filter(|_| due) else { return Ok(()) };
        let durability = if at_once { Durability::EachCommit } else { self.shared.spec.durability };
        if let Err(error) = lane.persist(self.at.position, self.covered, durability).await {
            return Err(lane.roll_back(error).await);
        }
        self.at.position = self.covered;
        self.shared.committed(self.covered);
        self.persisted = Instant::now();
        if durability == Durability::EachCommit {
            self.on_disk(self.at);
        }
        Ok(())
    }

    async fn write_sequences(&mut self) -> Result<(), LinkError> {
        let seen: Option<Vec<SequenceValue>> =
            self.shared.sequences.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sql = self.lanes.first().map(Lane::sql);
        match (seen, sql) {
            (Some(values), Some(sql)) => self.sequences.write(sql, &self.shared.spec, values).await,
            _ => Ok(()),
        }
    }
}
