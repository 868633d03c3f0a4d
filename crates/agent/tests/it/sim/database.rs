//! A database of the model: what PostgreSQL with Mainstay's schema does, as far as the agents can
//! tell. Its rules are written down anew here, by the words of the real ones' contracts.

use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use std::collections::{BTreeMap, BTreeSet};

/// A client's transaction, by its number.
pub type Tx = u64;

#[derive(Debug, Clone)]
pub struct Commit {
    pub lsn: u64,
    pub tx: Tx,
    /// By the clock on the wall of that site.
    pub micros: i64,
}

/// `mainstay.link`
#[derive(Debug, Clone, Default)]
pub struct LinkRow {
    pub epoch: Epoch,
    /// Of the link that applies; an older one applies nothing any more.
    pub session: u64,
    pub position: Option<u64>,
    pub commit_micros: Option<i64>,
}

#[derive(Default)]
pub struct Database {
    pub up: bool,
    pub prepared: bool,
    boots: u64,
    pub end: u64,
    /// What the application committed here itself, oldest first.
    pub commits: Vec<Commit>,
    pub data: BTreeSet<Tx>,
    pub epoch: Epoch,
    opened_in: Option<u64>,
    /// Of the fence's row.
    pub version: u64,
    /// Confirmed positions.
    pub slots: BTreeMap<String, u64>,
    pub links: BTreeMap<String, LinkRow>,
}

/// Why the row of the fence was not changed.
pub enum Unchanged {
    Stale { seen: Epoch },
    TooLate,
}

impl Database {
    pub fn boot(&mut self) {
        self.up = true;
        self.boots += 1;
    }

    /// The application's roles may write.
    pub fn is_open(&self) -> bool {
        self.up && self.opened_in == Some(self.boots)
    }

    pub fn beat(&mut self) {
        self.end += 8;
    }

    pub fn commit(&mut self, tx: Tx, micros: i64) {
        self.end += 16;
        self.commits.push(Commit { lsn: self.end, tx, micros });
        self.data.insert(tx);
    }

    pub fn fence(&mut self, epoch: Epoch) -> Result<Lsn, Unchanged> {
        if self.epoch > epoch {
            return Err(Unchanged::Stale { seen: self.epoch });
        }
        (self.epoch, self.opened_in) = (epoch, None);
        self.version += 1;
        let position = Lsn(self.end);
        self.beat();
        Ok(position)
    }

    pub fn open(&mut self, epoch: Epoch, version: u64) -> Result<(), Unchanged> {
        if self.epoch > epoch {
            return Err(Unchanged::Stale { seen: self.epoch });
        }
        if self.version != version {
            return Err(Unchanged::TooLate);
        }
        (self.epoch, self.opened_in) = (epoch, Some(self.boots));
        self.version += 1;
        Ok(())
    }

    pub fn after(&self, lsn: u64) -> &[Commit] {
        let first = self.commits.partition_point(|commit| commit.lsn <= lsn);
        self.commits.get(first..).unwrap_or_default()
    }
}
