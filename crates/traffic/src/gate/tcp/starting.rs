//! Connections that have not said yet what they want.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// So many of one listener may be silent at a time: the next one ends the oldest. Clients that say
/// nothing then cost no place of one that does, however many they are.
#[derive(Debug)]
pub struct Starting {
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// In the order in which they came.
    by_age: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Starting {
    pub fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// What `start` comes to; None when newer ones needed its place.
    pub async fn run<T>(&self, start: impl Future<Output = T>) -> Option<T> {
        let (place, crowded_out) = self.enter();
        let outcome = tokio::select! {
            outcome = start => Some(outcome),
            _ = crowded_out => None,
        };
        drop(place);
        outcome
    }

    fn enter(&self) -> (Place<'_>, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        let id = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(id, sender);
        if waiting.by_age.len() > self.most {
            // Dropping its sender tells it.
            waiting.by_age.pop_first();
        }
        (Place { starting: self, id }, receiver)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Place<'a> {
    starting: &'a Starting,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.starting.waiting().by_age.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn the_oldest_silent_one_makes_place_and_nobody_who_has_spoken() {
        let starting = Starting::new(2);
        assert_eq!(starting.run(ready(1)).await, Some(1));
        let [mut first, mut second] = [(); 2].map(|()| Box::pin(starting.run(pending::<()>())));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        let mut third = Box::pin(starting.run(pending::<()>()));
        assert!(futures::poll!(&mut third).is_pending());
        assert_eq!(futures::poll!(first), std::task::Poll::Ready(None));
        assert!(futures::poll!(&mut second).is_pending());
        drop(third);
        assert_eq!(starting.run(ready(4)).await, Some(4));
        assert!(futures::poll!(second).is_pending());
    }
}
