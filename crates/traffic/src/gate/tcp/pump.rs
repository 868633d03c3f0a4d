//! One direction of a connection: bytes from one wire to the other.

use super::End;
use crate::gate::wire::Wire;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one read takes at most, and so what a receiver that does not read can make the gate keep.
const PIECE: usize = 32 * 1024;

thread_local! {
    /// Between a read and the write that follows it nothing else runs on the thread: all its
    /// connections share one buffer, and a silent one has none.
    static PASSING: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

#[derive(Debug, Default)]
pub struct Pump {
    /// What the receiver did not take yet, from `written` on.
    left: Vec<u8>,
    written: usize,
    flushing: bool,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The sender has ended; the receiver is to be told.
    Ended,
    /// The receiver knows of it, or is gone.
    Done,
}

/// Why a pump stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The sender ended, and all that it sent has been passed on.
    Ended,
    ReadFailed,
    WriteFailed,
    /// Whoever looked at the bytes wants no more of them.
    Stopped(End),
}

impl Pump {
    /// All that was read has been passed on.
    pub fn flushed(&self) -> bool {
        self.left.is_empty() && !self.flushing
    }

    /// Nothing passes any more, and the receiver knows it or is gone.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// No more is to pass in this direction.
    pub fn finish(&mut self) {
        self.state = State::Done;
    }

    /// Has the receiver know that nothing more comes.
    pub fn end(&mut self) {
        self.state = State::Ended;
    }

    /// Moves what there is; `see` looks at each piece before it goes.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Wire,
        to: &mut Wire,
        mut see: impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Poll<Halt> {
        loop {
            match ready!(self.poll_rest(context, to)) {
                Ok(()) => {}
                Err(_) => return Poll::Ready(Halt::WriteFailed),
            }
            match self.state {
                State::Open => {}
                State::Ended => {
                    // A receiver that is gone shows when it is read from.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(context));
                    self.state = State::Done;
                    return Poll::Pending;
                }
                State::Done => return Poll::Pending,
            }
            if let Err(halt) = ready!(self.poll_piece(context, from, to, &mut see)) {
                return Poll::Ready(halt);
            }
        }
    }

    fn poll_rest(&mut self, context: &mut Context<'_>, to: &mut Wire) -> Poll<std::io::Result<()>> {
        while self.written < self.left.len() {
            let rest = &self.left[self.written..];
            match ready!(Pin::new(&mut *to).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if self.written > 0 {
            (self.left, self.written) = (Vec::new(), 0);
        }
        if self.flushing {
            ready!(Pin::new(&mut *to).poll_flush(context))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Wire,
        to: &mut Wire,
        see: &mut impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Poll<Result<(), Halt>> {
        PASSING.with_borrow_mut(|passing| {
            let mut buffer = ReadBuf::new(passing);
            if ready!(Pin::new(from).poll_read(context, &mut buffer)).is_err() {
                return Poll::Ready(Err(Halt::ReadFailed));
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Err(Halt::Ended));
            }
            if let Err(end) = see(bytes) {
                return Poll::Ready(Err(Halt::Stopped(end)));
            }
            self.flushing = true;
            let count = match Pin::new(to).poll_write(context, bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Halt::WriteFailed)),
                Poll::Ready(Ok(count)) => count,
                Poll::Pending => 0,
            };
            if count < bytes.len() {
                self.left.extend_from_slice(&bytes[count..]);
            }
            Poll::Ready(Ok(()))
        })
    }
}
