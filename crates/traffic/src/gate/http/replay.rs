//! A request's body that can be sent again from its beginning, as long as little of it was read.

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// What is kept of each body for sending it again.
const KEPT: usize = 64 * 1024;

/// One reading of the body, from its beginning. Making another one ends the earlier.
#[derive(Debug)]
pub struct Replay {
    source: Arc<Mutex<Source>>,
    reading: u64,
    at: usize,
    hint: SizeHint,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An abandoned connection must not take what the next one needs.
    #[error("the body is being sent elsewhere")]
    Superseded,
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

#[derive(Debug)]
struct Source {
    incoming: Incoming,
    reading: u64,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    overflown: bool,
}

impl Replay {
    pub fn new(incoming: Incoming) -> Self {
        let hint = incoming.size_hint();
        let source =
            Source { incoming, reading: 0, kept: Vec::new(), kept_bytes: 0, overflown: false };
        Self { source: Arc::new(Mutex::new(source)), reading: 0, at: 0, hint }
    }

    /// The body from its beginning; None when more was read than is kept.
    pub fn again(&self) -> Option<Self> {
        let mut source = self.source();
        if source.overflown {
            return None;
        }
        source.reading += 1;
        let (reading, hint) = (source.reading, self.hint);
        Some(Self { source: Arc::clone(&self.source), reading, at: 0, hint })
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn keep(&mut self, data: &Bytes) {
        self.kept_bytes += data.len();
        if self.kept_bytes > KEPT {
            self.overflown = true;
            self.kept.clear();
        }
        if !self.overflown {
            self.kept.push(data.clone());
        }
    }
}

impl Body for Replay {
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let mut source = self.source();
        if source.reading != self.reading {
            return Poll::Ready(Some(Err(ReplayError::Superseded)));
        }
        if let Some(kept) = source.kept.get(self.at).cloned() {
            drop(source);
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(kept))));
        }
        let polled = Pin::new(&mut source.incoming).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            source.keep(data);
            drop(source);
            self.at += 1;
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(ReplayError::from)))
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source();
        self.at >= source.kept.len() && source.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
