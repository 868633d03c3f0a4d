//! The bounded queue between receiver and applier. What was received outlives a lost connection on
//! either side: when the source is gone for good, the queue holds what can still be applied.

use super::assemble::Spooled;
use super::lane::Placed;
use super::unit::{Piece, Transaction, Unit};
use mainstay_core::position::Lsn;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that are received and not yet durable at the target. One unit more may be in memory.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bounds of one target transaction, when neighbouring transactions are merged.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_CHANGES: usize = 20_000;

#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct Inner {
    units: VecDeque<Unit>,
    /// Of the queue and of what the applier has in hand.
    bytes: usize,
    /// Changes of the transactions that wait.
    changes: usize,
    /// Commit times of the transactions that the applier has in hand.
    in_hand: VecDeque<i64>,
    arriving: Option<i64>,
    /// Where the source is to stream on from: everything that ends there or before was queued.
    tail: Option<Lsn>,
    /// End of the newest whole transaction that was queued.
    received: Option<Lsn>,
    closed: bool,
}

/// Neighbouring transactions for one target transaction, or none and only a new position.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub transactions: Vec<Transaction>,
    pub position: Lsn,
    pub bytes: usize,
    pub changes: usize,
}

#[derive(Debug)]
pub(super) enum Taken {
    Batch(Batch),
    Spooled(Box<Spooled>),
    Piece(Piece),
    Withdrawn,
    /// What comes next lies beyond the limit.
    Limit,
    Empty,
    /// Empty, and nothing will come any more.
    Closed,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere does not make the queue wrong: every change of it is one statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empty, to be filled from `tail`.
    pub fn reset(&self, tail: Lsn) {
        *self.lock() = Inner { tail: Some(tail), ..Inner::default() };
        self.emptied.notify_one();
    }

    pub fn tail(&self) -> Option<Lsn> {
        self.lock().tail
    }

    pub fn received(&self) -> Option<Lsn> {
        self.lock().received
    }

    /// Commit time of the oldest transaction that is received, in part or whole, and not durable.
    pub fn oldest(&self) -> Option<i64> {
        let inner = self.lock();
        let queued = inner.units.iter().find_map(Unit::commit_micros);
        let in_hand = inner.in_hand.front().copied();
        [in_hand, queued, inner.arriving].into_iter().flatten().min()
    }

    /// Something was taken that is neither durable nor returned.
    pub fn is_in_hand(&self) -> bool {
        !self.lock().in_hand.is_empty()
    }

    /// Says that a transaction with this commit time is being received, or that none is.
    pub fn arriving(&self, commit_micros: Option<i64>) {
        self.lock().arriving = commit_micros;
    }

    /// Ready when another unit may be pushed.
    pub async fn room(&self) {
        while self.lock().bytes >= MOST_BYTES {
            self.emptied.notified().await;
        }
    }

    pub fn has_room(&self) -> bool {
        self.lock().bytes < MOST_BYTES
    }

    pub fn push(&self, unit: Unit) {
        let mut inner = self.lock();
        inner.bytes += unit.bytes();
        if let Unit::Whole(transaction) = &unit {
            inner.changes += transaction.changes.len();
        }
        if let Some(end) = unit.end() {
            inner.advance(end, !matches!(unit, Unit::Covered(_)));
        }
        inner.append(unit);
        drop(inner);
        self.filled.notify_one();
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Ready when something was pushed, or the queue was closed, since the last time.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// The next work whose transactions end at or before `limit`.
    pub fn take(&self, limit: Option<Lsn>) -> Taken {
        self.lock().take(limit)
    }

    /// A batch for a second lane: only when at least `least` changes wait.
    pub fn take_beside(&self, limit: Option<Lsn>, least: usize) -> Option<Batch> {
        let mut inner = self.lock();
        let fits = inner.changes >= least
            && matches!(inner.units.front(), Some(Unit::Whole(t)) if !t.barrier);
        match fits.then(|| inner.take(limit))? {
            Taken::Batch(batch) => Some(batch),
            _ => None,
        }
    }

    /// Returns a batch that could not be applied, to be tried again. The newest goes back first.
    pub fn put_back(&self, batch: Batch) {
        let mut inner = self.lock();
        inner.in_hand.pop_back();
        inner.units.push_front(Unit::Covered(batch.position));
        for transaction in batch.transactions.into_iter().rev() {
            inner.changes += transaction.changes.len();
            inner.units.push_front(Unit::Whole(transaction));
        }
    }

    pub fn put_back_spooled(&self, spooled: Box<Spooled>) {
        let mut inner = self.lock();
        inner.in_hand.pop_back();
        inner.units.push_front(Unit::Spooled(spooled));
    }

    /// What was taken first is durable: its memory is free.
    pub fn done(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.in_hand.pop_front();
        inner.free(bytes);
        drop(inner);
        self.emptied.notify_one();
    }

    /// Changes that were passed on are no longer needed.
    pub fn forget(&self, bytes: usize) {
        self.lock().free(bytes);
        self.emptied.notify_one();
    }

    /// Drops what is durable at `position` already, and pieces of what is in progress: what was
    /// done of that is gone with its session.
    pub fn discard_through(&self, position: Lsn) {
        let mut inner = self.lock();
        while let Some(front) = inner.units.front() {
            match front {
                Unit::Whole(_) | Unit::Spooled(_) if front.end() > Some(position) => break,
                Unit::Covered(_) => break,
                _ => drop(inner.pop()),
            }
        }
        let bytes = inner.units.iter().map(Unit::bytes).sum();
        inner.bytes = bytes;
        drop(inner);
        self.emptied.notify_one();
    }
}

impl Inner {
    fn advance(&mut self, end: Lsn, transaction: bool) {
        self.tail = self.tail.max(Some(end));
        if transaction {
            self.received = Some(end);
        }
    }

    /// A later coverage replaces the one before it, so that an idle source fills nothing.
    fn append(&mut self, unit: Unit) {
        if let (Unit::Covered(end), Some(Unit::Covered(last))) = (&unit, self.units.back_mut()) {
            *last = (*last).max(*end);
            return;
        }
        self.units.push_back(unit);
    }

    fn free(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn pop(&mut self) -> Option<Unit> {
        let unit = self.units.pop_front()?;
        if let Unit::Whole(transaction) = &unit {
            self.changes = self.changes.saturating_sub(transaction.changes.len());
        }
        Some(unit)
    }

    fn take(&mut self, limit: Option<Lsn>) -> Taken {
        let mut batch = Batch::default();
        loop {
            let beyond = self.units.front().is_some_and(|unit| is_beyond(unit, limit));
            match self.units.front() {
                _ if beyond && batch.is_empty() => return Taken::Limit,
                Some(Unit::Whole(t)) if !beyond && batch.has_room(t) => {}
                Some(Unit::Covered(_)) if !beyond => {}
                Some(Unit::Piece(_) | Unit::Withdrawn | Unit::Spooled(_)) if batch.is_empty() => {}
                None if batch.is_empty() => {
                    return if self.closed { Taken::Closed } else { Taken::Empty };
                }
                _ => {
                    self.in_hand.extend(batch.transactions.first().map(|t| t.commit_micros));
                    return Taken::Batch(batch);
                }
            }
            match self.pop() {
                Some(Unit::Whole(transaction)) => batch.add(transaction),
                Some(Unit::Covered(end)) => batch.position = batch.position.max(end),
                Some(Unit::Spooled(spooled)) => {
                    self.in_hand.push_back(spooled.commit.commit_micros);
                    return Taken::Spooled(spooled);
                }
                Some(Unit::Piece(piece)) => return Taken::Piece(piece),
                Some(Unit::Withdrawn) => return Taken::Withdrawn,
                None => {}
            }
        }
    }
}

/// Pieces are not committed before their end is reached, so they lie beyond no limit.
fn is_beyond(unit: &Unit, limit: Option<Lsn>) -> bool {
    limit.is_some_and(|limit| unit.end().is_some_and(|end| end > limit))
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.position == Lsn::default()
    }

    fn has_room(&self, next: &Transaction) -> bool {
        let Some(last) = self.transactions.last() else { return true };
        !last.barrier
            && !next.barrier
            && self.bytes + next.bytes <= BATCH_BYTES
            && self.changes + next.changes.len() <= BATCH_CHANGES
    }

    fn add(&mut self, transaction: Transaction) {
        self.position = transaction.end;
        self.bytes += transaction.bytes;
        self.changes += transaction.changes.len();
        self.transactions.push(transaction);
    }

    /// True when it must be applied alone.
    pub fn is_barrier(&self) -> bool {
        self.transactions.iter().any(|transaction| transaction.barrier)
    }

    /// Of the newest transaction.
    pub fn commit_micros(&self) -> Option<i64> {
        self.transactions.last().map(|transaction| transaction.commit_micros)
    }

    pub fn placed(&self) -> Vec<Placed<'_>> {
        let mut changes = Vec::with_capacity(self.changes);
        for transaction in &self.transactions {
            let (commit_lsn, end) = (transaction.commit_lsn, transaction.end);
            let each = transaction.changes.iter();
            changes.extend(each.map(|change| Placed { change, commit_lsn, end }));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(end: u64) -> Unit {
        let (commit_lsn, end) = (Lsn(end - 1), Lsn(end));
        Unit::Whole(Transaction {
            commit_lsn,
            end,
            commit_micros: 0,
            changes: vec![],
            bytes: 10,
            barrier: false,
        })
    }

    fn ends(taken: Taken) -> (Vec<u64>, u64) {
        match taken {
            Taken::Batch(batch) => {
                (batch.transactions.iter().map(|t| t.end.0).collect(), batch.position.0)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_never_passes_the_limit() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        for end in [10, 20, 30] {
            queue.push(whole(end));
        }
        queue.push(Unit::Covered(Lsn(40)));
        assert_eq!(ends(queue.take(Some(Lsn(25)))), (vec![10, 20], 20));
        assert!(matches!(queue.take(Some(Lsn(25))), Taken::Limit));
        assert_eq!(ends(queue.take(None)), (vec![30], 40));
        assert!(matches!(queue.take(None), Taken::Empty));
        queue.close();
        assert!(matches!(queue.take(None), Taken::Closed));
    }

    #[test]
    fn a_barrier_is_a_batch_of_its_own_and_has_no_company() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        for end in [10, 20, 30, 40] {
            let Unit::Whole(mut transaction) = whole(end) else { panic!("it is whole") };
            transaction.barrier = end == 20;
            queue.push(Unit::Whole(transaction));
        }
        assert_eq!(ends(queue.take(None)), (vec![10], 10));
        assert!(queue.take_beside(None, 0).is_none());
        assert_eq!(ends(queue.take(None)), (vec![20], 20));
        assert!(queue.take_beside(None, 1).is_none(), "not enough waits");
        let beside = queue.take_beside(None, 0).unwrap();
        assert_eq!(ends(Taken::Batch(beside)), (vec![30, 40], 40));
    }

    #[test]
    fn a_batch_put_back_is_taken_again_in_the_same_order() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        queue.push(whole(10));
        queue.push(whole(20));
        let Taken::Batch(batch) = queue.take(None) else { panic!("a batch") };
        assert!(queue.is_in_hand());
        queue.put_back(batch);
        assert!(!queue.is_in_hand());
        queue.discard_through(Lsn(10));
        assert_eq!(ends(queue.take(None)), (vec![20], 20));
        assert_eq!(queue.tail(), Some(Lsn(20)));
    }

    #[test]
    fn an_idle_source_fills_nothing() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        for end in 1..1000 {
            queue.push(Unit::Covered(Lsn(end)));
        }
        assert_eq!(queue.lock().units.len(), 1);
        assert_eq!(queue.received(), None);
    }
}
