//! Waiting for an event instead of for a time.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until `condition` holds.
///
/// # Panics
/// When `deadline` has passed first, naming `what` did not happen.
pub async fn wait_for(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    wait_for_value(what, deadline, async || condition().await.then_some(())).await;
}

/// Asks again and again until `value` is there, and returns it.
///
/// # Panics
/// When `deadline` has passed first, naming `what` did not happen.
pub async fn wait_for_value<T>(
    what: &str,
    deadline: Duration,
    mut value: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = value().await {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?}, and still not: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for code that is not async; false when `deadline` has passed first.
pub fn wait_blocking(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
