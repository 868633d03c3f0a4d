//! Keeps a thousand held requests from knocking at once at a gate that does not open: while it
//! is shut, one at a time tries.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Whoever waits goes on at most this late once it opens; one attempt costs a handshake.
const LONGEST_PAUSE: Duration = Duration::from_millis(60);

#[derive(Debug)]
pub struct Door {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    Shut {
        until: Instant,
        pause: Duration,
    },
    /// Somebody tries.
    Tried {
        pause: Duration,
    },
}

/// The right to knock now. Dropped without a verdict by one who tries, the door stays shut, and
/// the next may try at once.
#[derive(Debug)]
pub struct Turn<'a> {
    door: &'a Door,
    trying: Option<Duration>,
}

impl Door {
    pub fn new() -> Self {
        Self { state: watch::Sender::new(State::Open) }
    }

    pub async fn turn(&self) -> Turn<'_> {
        let mut changes = self.state.subscribe();
        loop {
            if let Some(turn) = self.claim() {
                return turn;
            }
            let state = *changes.borrow_and_update();
            match state {
                State::Open => {}
                State::Shut { until, .. } => {
                    let _ = tokio::time::timeout_at(until, changes.changed()).await;
                }
                State::Tried { .. } => {
                    let _ = changes.changed().await;
                }
            }
        }
    }

    fn claim(&self) -> Option<Turn<'_>> {
        let mut turn = None;
        self.state.send_if_modified(|state| match *state {
            State::Open => {
                turn = Some(None);
                false
            }
            State::Shut { until, pause } if Instant::now() >= until => {
                *state = State::Tried { pause };
                turn = Some(Some(pause));
                true
            }
            _ => false,
        });
        turn.map(|trying| Turn { door: self, trying })
    }

    /// It did not open: others wait, longer each time.
    pub fn shut(&self) {
        self.state.send_modify(|state| {
            let pause = match *state {
                State::Open => FIRST_PAUSE,
                // Many find it shut at the same time; that counts once.
                State::Shut { .. } => return,
                State::Tried { pause } => (pause * 2).min(LONGEST_PAUSE),
            };
            *state = State::Shut { until: Instant::now() + pause, pause };
        });
    }
}

impl Turn<'_> {
    pub fn is_trial(&self) -> bool {
        self.trying.is_some()
    }

    pub fn opened(mut self) {
        if self.trying.take().is_some() {
            self.door.state.send_replace(State::Open);
        }
    }

    pub fn refused(mut self) {
        self.trying = None;
        self.door.shut();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(pause) = self.trying {
            self.door.state.send_replace(State::Shut { until: Instant::now(), pause });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tries_while_it_is_shut_and_all_pass_once_it_is_open() {
        let door = Door::new();
        door.turn().await.refused();
        let trying = door.turn().await;
        let wait = tokio::time::timeout(Duration::from_millis(100), door.turn()).await;
        assert!(wait.is_err(), "a second one tried at the same time");
        trying.opened();
        let (_one, _two) = (door.turn().await, door.turn().await);
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_goes_to_the_next() {
        let door = Door::new();
        door.turn().await.refused();
        drop(door.turn().await);
        let next = tokio::time::timeout(Duration::from_secs(5), door.turn()).await;
        assert!(next.is_ok());
    }
}
