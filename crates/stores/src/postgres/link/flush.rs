//! Commits made durable together, on a session beside those that apply: nobody waits for the disk.

use super::lane::At;
use super::sql::Sql;
use super::{LinkSpec, failure::LinkError};
use crate::postgres::session::FLUSH;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Between the beginnings of two flushes.
pub(super) const EVERY: Duration = Duration::from_millis(200);

type Flushed = Result<(Sql, At), LinkError>;

pub(super) struct Flusher {
    session: Option<Sql>,
    flying: Option<AbortOnDropHandle<Flushed>>,
    began: Instant,
}

impl Flusher {
    pub fn new() -> Self {
        Self { session: None, flying: None, began: Instant::now() }
    }

    /// Begins to make durable what is committed up to `at`, unless one is under way or was just
    /// now.
    pub fn begin(&mut self, spec: &LinkSpec, at: At) {
        if self.flying.is_some() || self.began.elapsed() < EVERY {
            return;
        }
        self.began = Instant::now();
        let (spec, session) = (spec.clone(), self.session.take());
        let flushing = async move {
            let session = match session {
                Some(session) => session,
                None => Sql::open(&spec.target, &spec.apply_session()).await?,
            };
            session.batch("make commits durable", FLUSH).await?;
            Ok((session, at))
        };
        self.flying = Some(AbortOnDropHandle::new(tokio::spawn(flushing)));
    }

    /// What is durable, once the one that is under way has ended; without one never.
    pub async fn ended(&mut self) -> Result<At, LinkError> {
        let Some(flying) = self.flying.as_mut() else { return std::future::pending().await };
        let flushed = flying.await;
        self.flying = None;
        match flushed {
            Ok(flushed) => {
                let (session, at) = flushed?;
                self.session = Some(session);
                Ok(at)
            }
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody aborts it but the runtime's end.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
