//! The link of two servers that are compared, as far as a comparison needs it.

use crate::redis::link::{Follower, Paused};
use mainstay_core::position::ReplicationOffset;
use std::future::Future;
use std::time::Duration;

/// A link that streams brings what its source has within this.
const REACH: Duration = Duration::from_secs(30);
/// It stands still no longer than this for a key that changes all the time.
const STAND: Duration = Duration::from_secs(3);

/// What brings the source's changes to the target.
pub trait Follows: Send + Sync {
    type Held: Held;

    /// Waits until everything up to `at` is applied at the target, or says why it is not.
    fn reach(&self, at: ReplicationOffset) -> impl Future<Output = Result<(), String>> + Send;

    /// Has it stand still until the answer is dropped.
    fn hold(&self) -> impl Future<Output = Result<Self::Held, String>> + Send;
}

/// A link that stands still until this is dropped.
pub trait Held: Send {
    /// Applies everything up to `at` and nothing later, or says why it cannot.
    fn advance_to(
        &mut self,
        at: ReplicationOffset,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// It still stands where it was told to. A failover makes a link go on that somebody holds.
    fn still_stands(&self) -> bool;
}

impl Follows for Follower {
    type Held = Paused;

    async fn reach(&self, at: ReplicationOffset) -> Result<(), String> {
        self.drain_to(at, REACH).await.map(|_| ()).map_err(|why| why.to_string())
    }

    async fn hold(&self) -> Result<Paused, String> {
        self.pause(STAND).await.map_err(|why| why.to_string())
    }
}

impl Held for Paused {
    async fn advance_to(&mut self, at: ReplicationOffset) -> Result<(), String> {
        Paused::advance_to(self, at, STAND).await.map_err(|why| why.to_string())
    }

    fn still_stands(&self) -> bool {
        Paused::still_stands(self)
    }
}

/// Nothing is brought: the two servers are compared as they are.
impl Follows for () {
    type Held = ();

    async fn reach(&self, _: ReplicationOffset) -> Result<(), String> {
        Ok(())
    }

    async fn hold(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Held for () {
    async fn advance_to(&mut self, _: ReplicationOffset) -> Result<(), String> {
        Ok(())
    }

    fn still_stands(&self) -> bool {
        true
    }
}
