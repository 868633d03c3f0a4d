//! A request's body that can be sent again from its beginning, as long as little of it was read.

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

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
    #[error("the body is longer than allowed")]
    TooLong,
    #[error("the body stands still")]
    TooSlow,
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

/// What was wrong with the body, whoever asks for it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    TooLong,
    TooSlow,
    /// The client left, or sent what cannot stand in a body.
    Client,
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub bytes: Option<u64>,
    /// How long it may stand still.
    pub idle: Duration,
}

impl ReplayError {
    fn fault(&self) -> Option<Fault> {
        match self {
            ReplayError::Superseded => None,
            ReplayError::TooLong => Some(Fault::TooLong),
            ReplayError::TooSlow => Some(Fault::TooSlow),
            ReplayError::Client(_) => Some(Fault::Client),
        }
    }
}

#[derive(Debug)]
struct Source {
    incoming: Incoming,
    reading: u64,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    overflown: bool,
    bounds: Bounds,
    read: u64,
    /// Made when the body first has to be waited for.
    patience: Option<Pin<Box<Sleep>>>,
    fault: Option<Fault>,
}

impl Replay {
    /// None when the body says itself that it is too long.
    pub fn new(incoming: Incoming, bounds: Bounds) -> Option<Self> {
        let hint = incoming.size_hint();
        if bounds.bytes.is_some_and(|most| hint.lower() > most) {
            return None;
        }
        let source = Source {
            incoming,
            reading: 0,
            kept: Vec::new(),
            kept_bytes: 0,
            overflown: false,
            bounds,
            read: 0,
            patience: None,
            fault: None,
        };
        Some(Self { source: Arc::new(Mutex::new(source)), reading: 0, at: 0, hint })
    }

    pub fn fault(&self) -> Option<Fault> {
        self.source().fault
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
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let polled = match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Pending if self.is_late(context) => Some(Err(ReplayError::TooSlow)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => {
                self.patience = None;
                frame.map(|frame| self.within_bounds(frame?))
            }
        };
        if let Some(Err(error)) = &polled {
            self.fault = error.fault();
        }
        Poll::Ready(polled)
    }

    /// Time runs only while the body is waited for, not while the upstream takes none of it.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let idle = self.bounds.idle;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        patience.as_mut().poll(context).is_ready()
    }

    fn within_bounds(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, ReplayError> {
        if let Some(data) = frame.data_ref() {
            self.read += u64::try_from(data.len()).unwrap_or(u64::MAX);
            if self.bounds.bytes.is_some_and(|most| self.read > most) {
                return Err(ReplayError::TooLong);
            }
            self.keep(&data.clone());
        }
        Ok(frame)
    }

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
        let polled = source.poll(context);
        drop(source);
        if matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()) {
            self.at += 1;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source();
        self.at >= source.kept.len() && source.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
