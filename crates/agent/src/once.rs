//! Work of which at most one instance runs at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(20);

#[derive(Default, Clone)]
pub struct Once(Arc<AtomicBool>);

/// Held while the work runs; dropping it, by a panic too, lets the next one begin.
pub struct Turn(Arc<AtomicBool>);

impl Once {
    /// The right to do the work, unless it is under way.
    pub fn try_take(&self) -> Option<Turn> {
        let free = self.0.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        free.is_ok().then(|| Turn(self.0.clone()))
    }

    /// The right to do the work, as soon as it is not under way.
    pub async fn take(&self) -> Turn {
        loop {
            if let Some(turn) = self.try_take() {
                return turn;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Begins the work in a task of its own, unless it is under way.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(turn) = self.try_take() {
            tokio::spawn(async move {
                let _turn = turn;
                work.await;
            });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
