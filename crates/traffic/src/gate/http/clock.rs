//! How long a client takes to send a request's head. Hyper's own time limit counts the rest
//! between two requests too, which would close connections at rest; this clock runs only from a
//! head's first byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const AT_REST: u64 = u64::MAX;

/// The clock of one connection.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    /// Milliseconds from the beginning to the head's first byte.
    head_since: AtomicU64,
}

/// A request under way: the clock stands until it is dropped.
#[derive(Debug)]
pub struct Turn(Arc<Clock>);

impl Clock {
    /// Runs from the connection's beginning: a client that says nothing at all is slow.
    pub fn start() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), head_since: AtomicU64::new(0) })
    }

    /// A head is complete.
    pub fn turn(self: &Arc<Self>) -> Turn {
        self.head_since.store(AT_REST - 1, Relaxed);
        Turn(Arc::clone(self))
    }

    /// Ends when a head has taken longer than `most`, by a quarter of that late at most.
    pub async fn overdue(&self, most: Duration) {
        while self.head_time().is_none_or(|taken| taken < most) {
            tokio::time::sleep(most / 4).await;
        }
    }

    fn head_time(&self) -> Option<Duration> {
        let since = self.head_since.load(Relaxed);
        self.began.elapsed().checked_sub(Duration::from_millis(since))
    }

    fn bytes_came(&self) {
        if self.head_since.load(Relaxed) == AT_REST {
            let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(0);
            self.head_since.store(now, Relaxed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.head_since.store(AT_REST, Relaxed);
    }
}

/// A stream whose reads start the clock.
#[derive(Debug)]
pub struct Clocked<S> {
    pub stream: S,
    pub clock: Arc<Clock>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Clocked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.clock.bytes_came();
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
