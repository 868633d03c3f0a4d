//! The applying side: from the queue into the target, in transactions that carry the position.

use super::failure::{LinkError, Verdict};
use super::queue::{Batch, Taken};
use super::shared::{Progress, SequenceValue, Shared, Side, Wish};
use super::target::Target;
use super::unit::{Part, Transaction};
use super::{backoff::Backoff, sequences};
use mainstay_core::position::Lsn;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often an idle applier looks around.
const IDLE: Duration = Duration::from_millis(200);
/// How often the position is made durable when no change moves it.
const PERSIST: Duration = Duration::from_secs(1);
/// A session that lasted this long is not one of a series of failures.
const LASTED: Duration = Duration::from_millis(500);

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
        opened = Target::open(&shared.spec) => opened?,
        () = stop_wished(wish) => return Ok(End::Stopped),
    };
    let Some(target) = opened else { return Ok(End::Reset) };
    let position = target.position();
    if shared.applied().is_some_and(|applied| position < applied) {
        return Ok(End::Reset);
    }
    shared.queue.discard_through(position);
    shared.positioned(position, target.commit_micros());
    shared.target(Side::Up);
    let mut applier = Applier {
        shared,
        target,
        covered: position,
        persisted: Instant::now(),
        large: false,
        sequences: sequences::Written::default(),
    };
    applier.run(wish).await
}

struct Applier<'a> {
    shared: &'a Shared,
    target: Target<'a>,
    /// Everything that ends there or before is applied, and perhaps not yet told to the target.
    covered: Lsn,
    persisted: Instant,
    /// A transaction that comes in parts is open at the target.
    large: bool,
    sequences: sequences::Written,
}

impl Applier<'_> {
    async fn run(&mut self, wish: &mut watch::Receiver<Wish>) -> Result<End, LinkError> {
        loop {
            let now = *wish.borrow_and_update();
            if now.stop {
                return self.finish().await;
            }
            match self.shared.queue.take(now.limit.map(|limit| limit.at)) {
                Taken::Batch(batch) => self.batch(batch).await?,
                Taken::Part(part) => {
                    if let Err(error) = self.part(part).await {
                        return self.give_up_large(error).await;
                    }
                }
                Taken::Abandoned => self.abandon().await?,
                Taken::Closed => {
                    self.persist(true).await?;
                    return Ok(End::Drained);
                }
                Taken::Limit => self.idle(now, true, wish).await?,
                Taken::Empty => self.idle(now, false, wish).await?,
            }
        }
    }

    /// Leaves nothing under way.
    async fn finish(&mut self) -> Result<End, LinkError> {
        if self.large {
            self.target.sql().batch("roll back", "ROLLBACK").await?;
        } else {
            self.persist(true).await?;
        }
        Ok(End::Stopped)
    }

    async fn batch(&mut self, batch: Batch) -> Result<(), LinkError> {
        if batch.transactions.is_empty() {
            self.cover(batch.position);
            self.shared.queue.done(0);
            return self.persist(false).await;
        }
        match self.write(&batch).await {
            Ok(()) => {
                // Before those who wait are told, so that they see no lag of what is applied.
                self.shared.covered(batch.position);
                self.shared.queue.done(batch.bytes);
                self.applied(&batch.transactions, batch.position);
                Ok(())
            }
            Err(error) => {
                self.shared.queue.put_back(batch);
                Err(self.target.roll_back(error).await)
            }
        }
    }

    /// One target transaction. The position comes first: whoever else would apply the same waits
    /// for this transaction's end, and then finds the position moved.
    async fn write(&mut self, batch: &Batch) -> Result<(), LinkError> {
        let micros = batch.transactions.last().map(|t| t.commit_micros);
        self.target.begin().await?;
        self.target.move_position(batch.position, micros).await?;
        for transaction in &batch.transactions {
            for change in &transaction.changes {
                self.target.change(change, transaction.commit_lsn, transaction.end).await?;
            }
        }
        self.target.settle().await?;
        self.target.commit(batch.position, micros).await
    }

    fn applied(&mut self, transactions: &[Transaction], position: Lsn) {
        let rows: usize = transactions.iter().map(|t| t.changes.len()).sum();
        self.shared.count(transactions.len() as u64, rows as u64);
        self.landed(position);
    }

    /// The target made `position` durable.
    fn landed(&mut self, position: Lsn) {
        self.covered = self.covered.max(position);
        self.persisted = Instant::now();
        self.shared.positioned(position, self.target.commit_micros());
        self.shared.covered(self.covered);
    }

    fn cover(&mut self, position: Lsn) {
        self.covered = self.covered.max(position);
        self.shared.covered(self.covered);
    }

    /// One piece of a large transaction, into a target transaction of its own.
    async fn part(&mut self, part: Part) -> Result<(), LinkError> {
        if part.first {
            self.target.begin().await?;
            self.target.settle().await?;
            self.target.lock_position().await?;
            self.large = true;
        }
        for change in &part.changes {
            self.target
                .change(change, part.commit_lsn, part.end.unwrap_or(part.commit_lsn))
                .await?;
        }
        self.target.settle().await?;
        self.shared.queue.done(part.bytes);
        self.shared.count(u64::from(part.end.is_some()), part.changes.len() as u64);
        let Some(end) = part.end else { return Ok(()) };
        self.target.move_position(end, Some(part.commit_micros)).await?;
        self.target.settle().await?;
        self.target.commit(end, Some(part.commit_micros)).await?;
        self.large = false;
        self.landed(end);
        Ok(())
    }

    /// The pieces that were applied are gone from memory: only the source has them still.
    async fn give_up_large(&mut self, error: LinkError) -> Result<End, LinkError> {
        let error = self.target.roll_back(error).await;
        if let Verdict::Stop(_) = error.verdict() {
            return Err(error);
        }
        self.shared.target(Side::Down(error.to_string()));
        Ok(End::Reset)
    }

    async fn abandon(&mut self) -> Result<(), LinkError> {
        if std::mem::take(&mut self.large) {
            self.target.sql().batch("roll back", "ROLLBACK").await?;
        }
        self.shared.queue.done(0);
        Ok(())
    }

    /// Nothing to apply now. `beyond`: what comes next lies beyond the limit.
    async fn idle(
        &mut self,
        now: Wish,
        beyond: bool,
        wish: &mut watch::Receiver<Wish>,
    ) -> Result<(), LinkError> {
        if !self.large {
            self.persist(now.wanted.is_some() || now.limit.is_some()).await?;
            self.write_sequences().await?;
            self.hold(now, beyond);
        }
        if self.target.is_lost() {
            return Err(self.lost());
        }
        tokio::select! {
            () = self.shared.queue.filled(), if !beyond => {}
            changed = wish.changed() => if changed.is_err() { std::future::pending().await },
            () = tokio::time::sleep(IDLE) => {}
        }
        Ok(())
    }

    fn lost(&self) -> LinkError {
        LinkError::Sql {
            place: self.target.sql().place().to_owned(),
            doing: "keep the connection".to_owned(),
            why: "it was closed".to_owned(),
            sqlstate: None,
        }
    }

    /// Says that everything up to the limit is applied and durable, and nothing beyond.
    fn hold(&self, now: Wish, beyond: bool) {
        let held = now.limit.filter(|limit| beyond || self.covered >= limit.at);
        let progress = Progress { applied: Some(self.target.position()), held };
        self.shared.progress.send_if_modified(|last| std::mem::replace(last, progress) != progress);
    }

    /// Makes a position durable that no change moved, now and then or at once.
    async fn persist(&mut self, at_once: bool) -> Result<(), LinkError> {
        let due = at_once || self.persisted.elapsed() >= PERSIST;
        if self.large || !due || self.covered <= self.target.position() {
            return Ok(());
        }
        match self.target.persist(self.covered).await {
            Ok(()) => {
                self.landed(self.covered);
                Ok(())
            }
            Err(error) => Err(self.target.roll_back(error).await),
        }
    }

    async fn write_sequences(&mut self) -> Result<(), LinkError> {
        let seen: Option<Vec<SequenceValue>> =
            self.shared.sequences.lock().unwrap_or_else(PoisonError::into_inner).take();
        match seen {
            Some(values) => {
                self.sequences.write(self.target.sql(), &self.shared.spec, values).await
            }
            None => Ok(()),
        }
    }
}
