//! A load that a lane is applying.

use super::failure::LinkError;
use super::lane::{Before, Lane, Load, Manner, Touched, Work};
use futures::FutureExt;
use futures::future::BoxFuture;
use mainstay_core::position::Lsn;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

pub(super) struct Flight {
    pub number: u64,
    position: Lsn,
    guarded: bool,
    company: bool,
    touches: watch::Receiver<Option<Arc<Touched>>>,
    /// Of the one after it.
    turn: Option<oneshot::Sender<()>>,
}

/// A load that was applied, or was not.
pub(super) struct Landed {
    pub number: u64,
    pub lane: Lane,
    pub load: Load,
    /// How many changes.
    pub outcome: Result<u64, LinkError>,
}

impl Flight {
    pub fn start(
        number: u64,
        mut lane: Lane,
        load: Load,
        from: Lsn,
        manner: Manner,
        guarded: bool,
    ) -> (Self, BoxFuture<'static, Landed>) {
        let (touches, receiver) = watch::channel(None);
        let plain = match &load {
            Load::Batch(batch) => !batch.is_barrier() && !matches!(manner, Manner::Exactly),
            Load::Spooled(_) => false,
        };
        let flight = Self {
            number,
            position: load.position(),
            guarded,
            company: guarded && plain && !lane.skips(),
            touches: receiver,
            turn: None,
        };
        let work = Work { load, from, guarded, touches };
        let landing = async move {
            let outcome = lane.apply(&work, manner).await;
            Landed { number, lane, load: work.load, outcome }
        };
        (flight, landing.boxed())
    }

    /// The position once it is applied.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// It does not wait long for a lock: something else under way may hold it.
    pub fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Another one may be under way beside it.
    pub fn may_have_company(&self) -> bool {
        self.company
    }

    /// What the one after it has to wait for.
    pub fn before(&mut self) -> Before {
        let (turn, committed) = oneshot::channel();
        self.turn = Some(turn);
        Before { touches: self.touches.clone(), committed }
    }

    /// Lets the one after it commit.
    pub fn committed(self) {
        if let Some(turn) = self.turn {
            // Without a receiver it has failed, which its own end tells.
            let _gone = turn.send(());
        }
    }
}
