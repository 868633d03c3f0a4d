//! A connection whose reader lets what arrives in many small pieces come together.
//!
//! A source that has much to send sends each change by itself. What the receiver's window has no
//! room for stays at the source, where the kernel puts it together: that costs the source less
//! than half. So the window is small (`login.rs`), and while there is much, the socket is left
//! alone for a while after all that came is read: the window closes, and nobody is woken.
//!
//! So it is, for a shorter while, when what comes is little but in many pieces: who is woken by
//! each of them takes the processor from a source on the same machine, which is then late with
//! the next one.

use super::login::WINDOW;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// So many bytes within a span are much.
const BYTES: usize = 4 * WINDOW;
/// So many reads within a span are many.
const READS: u32 = 24;
const SPAN: Duration = Duration::from_millis(6);
/// After much has come.
const REST: Duration = Duration::from_millis(3);
/// After many reads of little.
const SHORT_REST: Duration = Duration::from_millis(1);
/// A read that brings no more has caught up with the source: half of what the window holds, since
/// the kernel makes the buffer twice as large as it was asked for (socket(7), `SO_RCVBUF`).
const LITTLE: usize = WINDOW;
/// A read that brings so much has emptied a window that was full: more waits at the source.
const FULL: usize = 2 * WINDOW - 8 * 1024;

pub(super) struct Paced {
    socket: Socket,
    rest: Option<Pin<Box<Sleep>>>,
    since: Instant,
    bytes: usize,
    reads: u32,
    caught_up: bool,
    full: bool,
}

enum Socket {
    Watched(TcpStream),
    Resting(std::net::TcpStream),
    /// It could not be watched again.
    Lost,
}

impl Paced {
    pub fn new(socket: TcpStream) -> Self {
        let (socket, since) = (Socket::Watched(socket), Instant::now());
        Self { socket, rest: None, since, bytes: 0, reads: 0, caught_up: false, full: false }
    }

    fn rest(&mut self, span: Duration) -> io::Result<()> {
        if let Socket::Watched(socket) = std::mem::replace(&mut self.socket, Socket::Lost) {
            self.socket = Socket::Resting(socket.into_std()?);
            self.rest = Some(Box::pin(tokio::time::sleep(span)));
            (self.bytes, self.reads) = (0, 0);
        }
        Ok(())
    }

    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket = match std::mem::replace(&mut self.socket, Socket::Lost) {
            Socket::Resting(socket) => Socket::Watched(TcpStream::from_std(socket)?),
            other => other,
        };
        match &mut self.socket {
            Socket::Watched(socket) => Ok(Pin::new(socket)),
            Socket::Resting(_) | Socket::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// `more`: there was no room for more.
    fn count(&mut self, bytes: usize, more: bool) {
        if self.since.elapsed() >= SPAN {
            (self.since, self.bytes, self.reads) = (Instant::now(), 0, 0);
        }
        self.bytes += bytes;
        self.reads += 1;
        self.caught_up = bytes <= LITTLE && !more;
        self.full = bytes >= FULL || more;
    }

    /// How long, once all that came is read, as far as is known.
    fn due_rest(&self) -> Option<Duration> {
        match self.caught_up {
            true if self.bytes >= BYTES => Some(REST),
            true if self.reads >= READS => Some(SHORT_REST),
            _ => None,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(context));
                self.rest = None;
            }
            let before = into.filled().len();
            let read = self.watched()?.poll_read(context, into)?;
            match read {
                Poll::Ready(()) => {
                    self.count(into.filled().len() - before, into.remaining() == 0);
                }
                Poll::Pending => self.caught_up |= !self.full,
            }
            if let Some(span) = self.due_rest() {
                self.rest(span)?;
            }
            if read.is_ready() || self.rest.is_none() {
                return read.map(Ok);
            }
        }
    }
}

/// For writing the socket is watched again; the reader's rest goes on.
impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watched()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched()?.poll_shutdown(context)
    }
}
