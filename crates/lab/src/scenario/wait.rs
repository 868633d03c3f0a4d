//! Waiting for something to be seen, with a deadline.

use crate::current::CurrentLab;
use crate::error::LabError;
use std::time::{Duration, Instant};

/// What one look saw.
pub enum Seen<T> {
    Yes(T),
    /// Not yet; what was seen instead.
    NotYet(String),
}

pub async fn wait_for<T>(
    lab: &CurrentLab,
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>, LabError>,
) -> Result<T, LabError> {
    let began = Instant::now();
    loop {
        // An agent that does not answer now may do so at the next look.
        let seen = match look().await {
            Ok(Seen::Yes(found)) => return Ok(found),
            Ok(Seen::NotYet(seen)) => seen,
            Err(error) => error.to_string(),
        };
        if began.elapsed() > patience {
            let (what, logs) = (what.to_owned(), lab.folder.logs());
            return Err(LabError::NotSeen { what, seconds: patience.as_secs(), seen, logs });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
