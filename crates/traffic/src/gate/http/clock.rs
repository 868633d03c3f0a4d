//! How long a client takes to send a request's head. Hyper's own time limit counts the rest
//! between two requests too, which would close connections at rest; this clock runs only from a
//! head's first byte.

use super::guard::{Guard, Refused};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::task::AbortOnDropHandle;

const AT_REST: u64 = u64::MAX;
/// What cannot stand in a request, wherever it is.
const POISON: u8 = 0;

/// The clock of one connection, and what else its requests share.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    /// Milliseconds from the beginning to the head's first byte.
    head_since: AtomicU64,
    /// Requests under way; several with HTTP/2.
    turns: AtomicUsize,
    /// Milliseconds from the beginning to the last request's end.
    rest_since: AtomicU64,
    /// From an upgrade on, what the client sends is no HTTP.
    upgraded: AtomicBool,
    tunnel: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// A request under way: the clock stands until it is dropped.
#[derive(Debug)]
pub struct Turn(Arc<Clock>);

impl Clock {
    /// Runs from the connection's beginning: a client that says nothing at all is slow.
    pub fn start() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            head_since: AtomicU64::new(0),
            turns: AtomicUsize::new(0),
            rest_since: AtomicU64::new(0),
            upgraded: AtomicBool::new(false),
            tunnel: Mutex::default(),
        })
    }

    /// A head is complete.
    pub fn turn(self: &Arc<Self>) -> Turn {
        self.head_since.store(AT_REST - 1, Relaxed);
        self.turns.fetch_add(1, Relaxed);
        Turn(Arc::clone(self))
    }

    /// What the client sends from now on is between it and an upstream, as long as `tunnel` lasts.
    pub fn upgrade(&self, tunnel: AbortOnDropHandle<()>) {
        self.upgraded.store(true, Relaxed);
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    pub fn take_tunnel(&self) -> Option<AbortOnDropHandle<()>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends when a head has taken longer than `most`, by a quarter of that late at most.
    pub async fn overdue(&self, most: Duration) {
        while self.since(self.head_since.load(Relaxed)).is_none_or(|taken| taken < most) {
            tokio::time::sleep(most / 4).await;
        }
    }

    /// Ends when no request has been under way for `most`, by a quarter of that late at most.
    pub async fn idle(&self, most: Duration) {
        loop {
            tokio::time::sleep(most / 4).await;
            let rested = self.since(self.rest_since.load(Relaxed));
            if self.turns.load(Relaxed) == 0 && rested.is_some_and(|rested| rested >= most) {
                return;
            }
        }
    }

    fn since(&self, millis: u64) -> Option<Duration> {
        self.began.elapsed().checked_sub(Duration::from_millis(millis))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(0)
    }

    fn bytes_came(&self) {
        if self.head_since.load(Relaxed) == AT_REST {
            self.head_since.store(self.now(), Relaxed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.head_since.store(AT_REST, Relaxed);
        self.0.rest_since.store(self.0.now(), Relaxed);
        self.0.turns.fetch_sub(1, Relaxed);
    }
}

/// A stream of HTTP/1 whose reads start the clock, and pass the guard.
#[derive(Debug)]
pub struct Clocked<S> {
    stream: S,
    clock: Arc<Clock>,
    /// None once it has refused something: nothing more is read.
    guard: Option<Guard>,
}

impl<S> Clocked<S> {
    pub fn new(stream: S, clock: Arc<Clock>) -> Self {
        Self { stream, clock, guard: Some(Guard::default()) }
    }

    fn check(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let Some(guard) = &mut self.guard else { return };
        if self.clock.upgraded.load(Relaxed) {
            return;
        }
        if let Err(Refused(good)) = guard.pass(&buffer.filled()[before..]) {
            self.guard = None;
            buffer.set_filled(before + good);
            buffer.put_slice(&[POISON]);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Clocked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.guard.is_none() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.clock.bytes_came();
            self.check(buffer, before);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Clocked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
