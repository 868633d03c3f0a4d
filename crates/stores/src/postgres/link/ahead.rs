//! A transaction that is applied while it is still in progress at the source.
//!
//! The source sends its changes in the order of its history: when a piece arrives, everything that
//! was committed before it is applied already, so that it finds the rows that it found there. It
//! is an attempt, and costs nothing but time: whatever goes wrong, the spool has it all.

use super::assemble::Spooled;
use super::failure::LinkError;
use super::lane::Lane;
use super::shared::Shared;
use super::unit::Piece;
use mainstay_core::position::Lsn;

#[derive(Default)]
pub(super) struct Ahead {
    open: Option<Open>,
}

struct Open {
    xid: u32,
    lane: Lane,
    changes: u64,
}

impl Ahead {
    /// A target transaction is open, and holds locks.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub async fn apply(&mut self, shared: &Shared, position: Lsn, piece: &Piece) {
        if piece.first {
            self.take_back().await;
            match Lane::beside(shared, position).await {
                Ok(lane) => self.open = Some(Open { xid: piece.xid, lane, changes: 0 }),
                Err(error) => tracing::debug!(%error, "not applied ahead"),
            }
        }
        let Some(open) = self.open.as_mut().filter(|open| open.xid == piece.xid) else { return };
        match open.lane.ahead(piece).await {
            Ok(()) => open.changes += piece.changes.len() as u64,
            Err(error) => self.give_up(error).await,
        }
    }

    /// Commits what was applied ahead of this commit, and returns how many changes. None when it
    /// was not applied, or not all of it.
    pub async fn commit(&mut self, from: Lsn, spooled: &Spooled) -> Option<u64> {
        let streamed = spooled.streamed.as_ref()?;
        let open = self.open.as_mut().filter(|open| open.xid == streamed.xid)?;
        match open.lane.commit_ahead(from, &spooled.commit).await {
            Ok(()) => self.open.take().map(|open| open.changes),
            Err(error) => {
                self.give_up(error).await;
                None
            }
        }
    }

    pub async fn take_back(&mut self) {
        if let Some(open) = self.open.take()
            && let Err(error) = open.lane.sql().batch("roll back", "ROLLBACK").await
        {
            tracing::debug!(%error, "a lost session rolls back by itself");
        }
    }

    async fn give_up(&mut self, error: LinkError) {
        tracing::debug!(%error, "no longer applied ahead");
        self.take_back().await;
    }
}
