//! The body of a response on its way to the client.

use super::clock::Turn;
use super::pool::CheckIn;
use super::upstreams::Load;
use crate::gate::shared::Pass;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Either the gate's own words or what an upstream sends.
#[derive(Debug)]
pub struct GateBody {
    source: Source,
    _turn: Option<Turn>,
}

#[derive(Debug)]
enum Source {
    Own(Full<Bytes>),
    Upstream(Box<UpstreamBody>),
}

/// Counts as in flight until it is dropped, and breaks off when the gate must cut.
#[derive(Debug)]
struct UpstreamBody {
    incoming: Incoming,
    ended: bool,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    back: Option<CheckIn>,
    _pass: Pass,
    _load: Option<Load>,
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the gate closed while the answer was on its way")]
    CutOff,
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
}

impl GateBody {
    pub fn own(bytes: Bytes) -> Self {
        Self { source: Source::Own(Full::new(bytes)), _turn: None }
    }

    /// The client's turn lasts as long as the body.
    pub fn during(self, turn: Turn) -> Self {
        Self { _turn: Some(turn), ..self }
    }

    pub fn upstream(incoming: Incoming, pass: Pass, back: CheckIn, load: Option<Load>) -> Self {
        let cut = Box::pin(pass.cut.clone().cancelled_owned());
        let body = UpstreamBody {
            incoming,
            ended: false,
            cut,
            back: Some(back),
            _pass: pass,
            _load: load,
        };
        Self { source: Source::Upstream(Box::new(body)), _turn: None }
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().source {
            Source::Own(full) => match ready!(Pin::new(full).poll_frame(context)) {
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(Err(never)) => match never {},
                None => Poll::Ready(None),
            },
            Source::Upstream(body) => body.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(full) => full.is_end_stream(),
            Source::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(full) => full.size_hint(),
            Source::Upstream(body) => body.incoming.size_hint(),
        }
    }
}

impl UpstreamBody {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(BodyError::CutOff)));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.ended = frame.is_none();
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }
}

impl Drop for UpstreamBody {
    /// Only a connection whose response was read to its end can carry another request.
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && (self.ended || self.incoming.is_end_stream())
        {
            back.check_in();
        }
    }
}
