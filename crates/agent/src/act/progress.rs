//! How far a phase of the way back is: for people only, never kept.

use crate::application::Application;
use crate::types::ReturnProgress;
use mainstay_core::StoreName;
use std::io::Write;

/// Transactions between two words on a salvage.
const EVERY: u64 = 100;

/// Tells how far the phase is; it is forgotten when this is dropped.
pub struct Progress<'a> {
    application: &'a Application,
    store: StoreName,
}

impl<'a> Progress<'a> {
    pub fn of(application: &'a Application, store: &StoreName) -> Self {
        Self { application, store: store.clone() }
    }

    pub fn tell(&self, progress: ReturnProgress) {
        self.application.known().progress.insert(self.store.clone(), progress);
    }

    /// What is written to this is a salvage: each of its lines is a transaction.
    pub fn counts<W: Write>(&self, sink: W) -> Counting<'_, W> {
        self.tell(ReturnProgress::Salvaged { transactions: 0 });
        Counting { progress: self, sink, transactions: 0 }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.application.known().progress.remove(&self.store);
    }
}

pub struct Counting<'a, W> {
    progress: &'a Progress<'a>,
    sink: W,
    transactions: u64,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        let before = self.transactions;
        let ended = bytes.iter().take(written).filter(|byte| **byte == b'\n').count();
        self.transactions += u64::try_from(ended).unwrap_or(0);
        if before / EVERY != self.transactions / EVERY {
            self.progress.tell(ReturnProgress::Salvaged { transactions: self.transactions });
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}
