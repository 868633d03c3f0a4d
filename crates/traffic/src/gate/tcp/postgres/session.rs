//! What a relay must know of a PostgreSQL session.

use super::message::Fatal;
use super::tracker::Tracker;
use crate::gate::tcp::End;
use crate::gate::tcp::relay::{Moment, Talk};
use std::time::Duration;
use tokio::time::Instant;

/// A client that has just connected is about to say what it wants: a drain waits so long for its
/// log-in, and then so long for its first words.
const LOG_IN: Duration = Duration::from_secs(1);
const FIRST_WORDS: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Session {
    tracker: Tracker,
    /// Until then the session counts as new; None once it was used.
    new_until: Option<Instant>,
}

impl Session {
    /// Whose start-up packet has been sent.
    pub fn started() -> Self {
        Self { tracker: Tracker::started(), new_until: Some(Instant::now() + LOG_IN) }
    }

    /// Logged in: the first words are waited for. Busy once: the session is not new any more.
    fn age(&mut self) {
        let Some(until) = &mut self.new_until else { return };
        if self.tracker.is_busy() {
            self.new_until = None;
        } else if self.tracker.is_logged_in() {
            *until = (*until).min(Instant::now() + FIRST_WORDS);
        }
    }
}

impl Talk for Session {
    /// A client that ends has nothing more to hear.
    const HALF_CLOSES: bool = false;

    fn client_sends(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.tracker.client_sends(bytes).map_err(|_| End::Broken)?;
        self.age();
        Ok(())
    }

    fn server_sends(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.tracker.server_sends(bytes).map_err(|_| End::Broken)?;
        self.age();
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.tracker.is_busy()
    }

    fn moment(&self, _: Option<Instant>) -> Moment {
        match self.new_until {
            _ if self.tracker.is_busy() => Moment::Later,
            Some(until) => Moment::At(until),
            None => Moment::Now,
        }
    }

    fn may_end(&self) -> bool {
        self.tracker.may_speak()
    }

    fn last_words(&self, end: End) -> Option<Vec<u8>> {
        let fatal = match end {
            End::Old => Fatal::too_old(),
            End::Behind => Fatal::behind(),
            _ => Fatal::terminated(),
        };
        self.tracker.may_speak().then(|| fatal.encode())
    }
}
