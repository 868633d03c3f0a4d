//! The bounded queue between receiver and applier. What was received outlives a lost connection on
//! either side: when the source is gone for good, the queue holds what can still be applied.

use super::unit::{Part, Transaction, Unit};
use mainstay_core::position::Lsn;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that are received and not yet durable at the target. One unit more may be in memory.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bounds of one target transaction, when neighbouring transactions are merged.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
const BATCH_CHANGES: usize = 2_000;

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
    in_hand: Option<i64>,
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
}

#[derive(Debug)]
pub(super) enum Taken {
    Batch(Batch),
    Part(Part),
    Abandoned,
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
        [inner.in_hand, queued, inner.arriving].into_iter().flatten().min()
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

    pub fn push(&self, unit: Unit) {
        let mut inner = self.lock();
        inner.bytes += unit.bytes();
        match &unit {
            Unit::Whole(transaction) => inner.advance(transaction.end, true),
            Unit::Part(Part { end: Some(end), .. }) => inner.advance(*end, true),
            Unit::Covered(end) => inner.advance(*end, false),
            Unit::Part(_) | Unit::Abandoned => {}
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

    /// Returns a batch that could not be applied, to be tried again.
    pub fn put_back(&self, batch: Batch) {
        let mut inner = self.lock();
        inner.in_hand = None;
        inner.units.push_front(Unit::Covered(batch.position));
        for transaction in batch.transactions.into_iter().rev() {
            inner.units.push_front(Unit::Whole(transaction));
        }
    }

    /// What was taken is durable: its memory is free.
    pub fn done(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
        inner.in_hand = None;
        drop(inner);
        self.emptied.notify_one();
    }

    /// Drops what is durable at `position` already.
    pub fn discard_through(&self, position: Lsn) {
        let mut inner = self.lock();
        while let Some(Unit::Whole(transaction)) = inner.units.front()
            && transaction.end <= position
        {
            inner.bytes = inner.bytes.saturating_sub(transaction.bytes);
            inner.units.pop_front();
        }
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

    fn take(&mut self, limit: Option<Lsn>) -> Taken {
        let mut batch = Batch::default();
        loop {
            let beyond = self.units.front().is_some_and(|unit| is_beyond(unit, limit));
            match self.units.front() {
                _ if beyond && batch.is_empty() => return Taken::Limit,
                Some(Unit::Whole(t)) if !beyond && batch.has_room(t) => {}
                Some(Unit::Covered(_)) if !beyond => {}
                Some(Unit::Part(_) | Unit::Abandoned) if batch.is_empty() => {}
                None if batch.is_empty() => {
                    return if self.closed { Taken::Closed } else { Taken::Empty };
                }
                _ => {
                    self.in_hand = batch.transactions.first().map(|t| t.commit_micros);
                    return Taken::Batch(batch);
                }
            }
            match self.units.pop_front() {
                Some(Unit::Whole(transaction)) => batch.add(transaction),
                Some(Unit::Covered(end)) => batch.position = batch.position.max(end),
                Some(Unit::Part(part)) => {
                    self.in_hand = Some(part.commit_micros);
                    return Taken::Part(part);
                }
                Some(Unit::Abandoned) => return Taken::Abandoned,
                None => {}
            }
        }
    }
}

/// Of a transaction in parts the end is not known at its beginning; but no record, and so no
/// limit, lies between the beginning and the end of its commit record.
fn is_beyond(unit: &Unit, limit: Option<Lsn>) -> bool {
    let Some(limit) = limit else { return false };
    match unit {
        Unit::Whole(transaction) => transaction.end > limit,
        Unit::Part(part) => part.first && part.commit_lsn >= limit,
        Unit::Covered(end) => *end > limit,
        Unit::Abandoned => false,
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.position == Lsn::default()
    }

    fn has_room(&self, next: &Transaction) -> bool {
        let changes: usize = self.transactions.iter().map(|t| t.changes.len()).sum();
        let alone = || next.is_alone() || self.transactions.iter().any(Transaction::is_alone);
        self.transactions.is_empty()
            || (!alone()
                && self.bytes + next.bytes <= BATCH_BYTES
                && changes + next.changes.len() <= BATCH_CHANGES)
    }

    fn add(&mut self, transaction: Transaction) {
        self.position = transaction.end;
        self.bytes += transaction.bytes;
        self.transactions.push(transaction);
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::SchemaChange;
    use super::super::unit::Change;
    use super::*;
    use std::sync::Arc;

    fn whole(end: u64) -> Unit {
        let (commit_lsn, end) = (Lsn(end - 1), Lsn(end));
        Unit::Whole(Transaction { commit_lsn, end, commit_micros: 0, changes: vec![], bytes: 10 })
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
    fn a_transaction_with_a_schema_change_is_a_batch_of_its_own() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        for end in [10, 20, 30, 40] {
            let Unit::Whole(mut transaction) = whole(end) else { panic!("it is whole") };
            if end == 20 {
                transaction.changes.push(Change::Schema(Arc::new(SchemaChange::example(Lsn(15)))));
            }
            queue.push(Unit::Whole(transaction));
        }
        assert_eq!(ends(queue.take(None)), (vec![10], 10));
        assert_eq!(ends(queue.take(None)), (vec![20], 20));
        assert_eq!(ends(queue.take(None)), (vec![30, 40], 40));
    }

    #[test]
    fn a_batch_put_back_is_taken_again_in_the_same_order() {
        let queue = Queue::default();
        queue.reset(Lsn(0));
        queue.push(whole(10));
        queue.push(whole(20));
        let Taken::Batch(batch) = queue.take(None) else { panic!("a batch") };
        queue.put_back(batch);
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
