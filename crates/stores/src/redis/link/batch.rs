//! What goes to the target: transactions, each with the position of all that it has.

use super::record;
use super::spec::LinkSpec;
use crate::redis::{readers, reply};
use mainstay_core::position::ReplicationOffset;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Transactions that may be on their way at once: while one is carried out the next one is sent.
pub(super) const MOST_SENT: u32 = 2;
/// A transaction that has grown to this is closed.
pub(super) const FULL: usize = 512 * 1024;

/// A transaction that was sent, for the one who reads its answers.
pub(super) struct Sent {
    /// None while the first copy goes on.
    pub at: Option<ReplicationOffset>,
    pub transactions: u64,
    pub commands: u64,
    _permit: OwnedSemaphorePermit,
}

/// The transaction that is being written. Nothing here waits for the network.
pub(super) struct Batch {
    record: String,
    epoch: String,
    /// What the record's `at` is before this transaction.
    before: String,
    out: Vec<u8>,
    open: bool,
    /// The database that the target's connection is in.
    selected: u32,
    /// The database that the source's stream is in.
    pub db: u32,
    transactions: u64,
    commands: u64,
    permits: Arc<Semaphore>,
}

impl Batch {
    /// `before`: the record's `at`, as it was claimed.
    pub fn new(spec: &LinkSpec, before: String, db: u32) -> Self {
        Self {
            record: spec.record(),
            epoch: spec.epoch.number().to_string(),
            before,
            out: Vec::new(),
            open: false,
            selected: 0,
            db,
            transactions: 0,
            commands: 0,
            permits: Arc::new(Semaphore::new(MOST_SENT as usize)),
        }
    }

    pub fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Enough has been written to be sent.
    pub fn is_full(&self) -> bool {
        self.out.len() >= FULL
    }

    /// What is to be sent; the transaction may go on.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// An open transaction, also when nothing comes of what moved the position.
    pub fn open(&mut self) {
        if self.open {
            return;
        }
        self.open = true;
        reply::encode(&mut self.out, &["WATCH", &self.record]);
        record::script(&mut self.out, record::EXPECT, &self.record, &[&self.epoch, &self.before]);
        reply::encode(&mut self.out, &["MULTI"]);
        record::script(&mut self.out, record::BEGIN, &self.record, &[]);
    }

    /// A command for the database of the source's stream, or a part of a large one.
    pub fn command(&mut self, raw: &[u8]) {
        self.open();
        self.select(self.db);
        self.commands += 1;
        self.out.extend_from_slice(raw);
    }

    /// More of a large command.
    pub fn more(&mut self, raw: &[u8]) {
        self.out.extend_from_slice(raw);
    }

    /// A script of the link's own, in database `db`.
    pub fn script(&mut self, db: u32, text: &str, argument: &str) {
        self.open();
        self.select(db);
        self.commands += 1;
        record::script(&mut self.out, text, &self.record, &[argument]);
    }

    /// The target is no longer being copied to, for those who let readers in.
    pub fn copied(&mut self) {
        self.db = 0;
        self.open();
        self.select(0);
        reply::encode(&mut self.out, &["DEL", readers::MARK]);
    }

    pub fn count_transaction(&mut self) {
        self.transactions += 1;
    }

    fn select(&mut self, db: u32) {
        if self.selected != db {
            reply::encode(&mut self.out, &["SELECT", &db.to_string()]);
            self.selected = db;
        }
    }

    /// Ends the transaction: the target is at `at` when it is carried out.
    pub fn close(&mut self, at: ReplicationOffset, permit: OwnedSemaphorePermit) -> Sent {
        self.end("streaming", at.to_string(), Some(at), permit)
    }

    /// The same while the first copy goes on.
    pub fn close_copy(&mut self, permit: OwnedSemaphorePermit) -> Sent {
        self.end("copying", self.before.clone(), None, permit)
    }

    fn end(
        &mut self,
        state: &str,
        at: String,
        position: Option<ReplicationOffset>,
        permit: OwnedSemaphorePermit,
    ) -> Sent {
        self.open();
        self.select(0);
        let db = self.db.to_string();
        record::script(&mut self.out, record::FINISH, &self.record, &[state, &at, &db]);
        reply::encode(&mut self.out, &["EXEC"]);
        (self.open, self.before) = (false, at);
        Sent {
            at: position,
            transactions: std::mem::take(&mut self.transactions),
            commands: std::mem::take(&mut self.commands),
            _permit: permit,
        }
    }
}
