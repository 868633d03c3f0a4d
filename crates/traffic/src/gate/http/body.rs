//! The body of a response on its way to the client.

use super::clock::Turn;
use super::log::Entry;
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
    entry: Option<Box<Entry>>,
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
    /// Made when the upstream first has to be waited for.
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    back: Option<CheckIn>,
    pass: Pass,
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
        Self { source: Source::Own(Full::new(bytes)), _turn: None, entry: None }
    }

    /// What becomes of it is written to the access log.
    pub fn logged(mut self, entry: Entry) -> Self {
        self.entry = Some(Box::new(entry));
        self
    }

    /// The client's turn lasts as long as the body.
    pub fn during(mut self, turn: Turn) -> Self {
        self._turn = Some(turn);
        self
    }

    pub fn upstream(incoming: Incoming, pass: Pass, back: CheckIn, load: Option<Load>) -> Self {
        let body =
            UpstreamBody { incoming, ended: false, cut: None, back: Some(back), pass, _load: load };
        Self { source: Source::Upstream(Box::new(body)), _turn: None, entry: None }
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Own(full) => match ready!(Pin::new(full).poll_frame(context)) {
                Some(Ok(frame)) => Some(Ok(frame)),
                Some(Err(never)) => match never {},
                None => None,
            },
            Source::Upstream(body) => ready!(body.poll(context)),
        };
        if let Some(entry) = &mut this.entry {
            match &polled {
                Some(Ok(frame)) => entry.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => {}
                None => entry.complete(),
            }
        }
        Poll::Ready(polled)
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
        if self.pass.cut.is_cancelled() {
            return Poll::Ready(Some(Err(BodyError::CutOff)));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.ended = frame.is_none();
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        let token = &self.pass.cut;
        let cut = self.cut.get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
        cut.as_mut().poll(context).map(|()| Some(Err(BodyError::CutOff)))
    }
}

impl Drop for GateBody {
    /// A body that says that it is at its end is not asked for more.
    fn drop(&mut self) {
        if self.is_end_stream()
            && let Some(entry) = &mut self.entry
        {
            entry.complete();
        }
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
