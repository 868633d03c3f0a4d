//! Deciding that salvaged transactions are not to be replayed. Nothing is deleted: the salvage
//! stays as it is.

use super::states::{Book, State, Stated};
use super::target::must_be_open;
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio_postgres::types::PgLsn;

const DOING: &str = "reject salvaged transactions";

/// Transactions that are noted together.
const BATCH: usize = 500;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub transactions: u64,
    /// They were already, and keep their reason.
    pub rejected_before: u64,
}

/// Rejects the transactions that are named, or else all that are open. When one that is named is
/// not in the salvage, or was replayed, nothing is done.
pub async fn reject(
    book: &Book<'_>,
    epoch: Epoch,
    named: Option<&BTreeSet<Lsn>>,
    reason: &str,
) -> Result<Rejected, Fault> {
    if let Some(named) = named {
        must_be_rejectable(book, named).await?;
    }
    let mut note = Note::open(book, epoch, reason).await?;
    let mut states = book.states().await?;
    while let Some(Stated { header, state, .. }) = states.next().await? {
        let chosen = match named {
            Some(named) => named.contains(&header.commit_lsn),
            None => state == State::Open,
        };
        match (chosen, state) {
            (true, State::Rejected) => note.rejected.rejected_before += 1,
            (true, _) => note.add(header.system, header.commit_lsn).await?,
            (false, _) => {}
        }
    }
    note.write().await?;
    Ok(note.rejected)
}

async fn must_be_rejectable(book: &Book<'_>, named: &BTreeSet<Lsn>) -> Result<(), Fault> {
    let mut missing = named.clone();
    let mut states = book.states().await?;
    while let Some(Stated { header, state, .. }) = states.next().await? {
        if missing.remove(&header.commit_lsn) && state == State::Replayed {
            return Err(Fault::AlreadyReplayed { lsn: header.commit_lsn });
        }
    }
    missing.first().map_or(Ok(()), |lsn| Err(Fault::NotInSalvage { lsn: *lsn }))
}

struct Note<'a> {
    session: Session,
    epoch: Epoch,
    reason: &'a str,
    systems: Vec<String>,
    positions: Vec<PgLsn>,
    rejected: Rejected,
}

impl<'a> Note<'a> {
    async fn open(book: &Book<'_>, epoch: Epoch, reason: &'a str) -> Result<Self, Fault> {
        let session = Session::open(book.active, "reject").await?;
        let (systems, positions, rejected) = (Vec::new(), Vec::new(), Rejected::default());
        Ok(Self { session, epoch, reason, systems, positions, rejected })
    }

    async fn add(&mut self, system: String, lsn: Lsn) -> Result<(), Fault> {
        self.systems.push(system);
        self.positions.push(PgLsn::from(lsn.0));
        if self.systems.len() >= BATCH { self.write().await } else { Ok(()) }
    }

    /// A replay that came between keeps its word.
    async fn write(&mut self) -> Result<(), Fault> {
        let (systems, positions) =
            (std::mem::take(&mut self.systems), std::mem::take(&mut self.positions));
        let sql = "INSERT INTO mainstay.decided (system, commit_lsn, decision, reason) \
                   SELECT s, l, 'rejected', $3 FROM unnest($1::text[], $2::pg_lsn[]) AS u (s, l) \
                   ON CONFLICT DO NOTHING";
        self.session.batch(DOING, "BEGIN").await?;
        let noted = self.session.execute(DOING, sql, &[&systems, &positions, &self.reason]).await?;
        must_be_open(&self.session, self.epoch).await?;
        self.session.batch(DOING, "COMMIT").await?;
        self.rejected.transactions += noted;
        Ok(())
    }
}
