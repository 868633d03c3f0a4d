//! A connection whose reader lets what arrives in many small pieces come together.
//!
//! A source that has much to send sends each change by itself. Woken for each of them, source and
//! receiver spend more time on that than on the changes. While there is much, the socket is
//! watched only once a millisecond: nobody is woken in between.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

const SPAN: Duration = Duration::from_millis(1);
/// So many reads within the span are much.
const READS: u32 = 32;
/// So many bytes at one read are much.
const BYTES: usize = 16 * 1024;

pub(super) struct Paced {
    socket: Socket,
    rest: Option<Pin<Box<Sleep>>>,
    since: Instant,
    reads: u32,
    much: bool,
}

enum Socket {
    Watched(TcpStream),
    Resting(std::net::TcpStream),
    /// It could not be watched again.
    Lost,
}

impl Paced {
    pub fn new(socket: TcpStream) -> Self {
        let since = Instant::now();
        Self { socket: Socket::Watched(socket), rest: None, since, reads: 0, much: false }
    }

    fn rest(&mut self) -> io::Result<()> {
        if let Socket::Watched(socket) = std::mem::replace(&mut self.socket, Socket::Lost) {
            self.socket = Socket::Resting(socket.into_std()?);
            self.rest = Some(Box::pin(tokio::time::sleep(SPAN)));
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

    fn count(&mut self, bytes: usize, full: bool) {
        if self.since.elapsed() < SPAN {
            self.reads += 1;
        } else {
            (self.since, self.reads) = (Instant::now(), 1);
        }
        // When the buffer was filled there is more at hand already.
        self.much = !full && (bytes >= BYTES || self.reads >= READS);
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.much) {
            self.rest()?;
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        let before = into.filled().len();
        ready!(self.watched()?.poll_read(context, into))?;
        let (bytes, full) = (into.filled().len() - before, into.remaining() == 0);
        self.count(bytes, full);
        Poll::Ready(Ok(()))
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
