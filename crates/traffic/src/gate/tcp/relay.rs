//! A connection between a client and a server (or the gate that leads to it), as long as the
//! posture allows.

use super::End;
use super::pump::{Halt, Pump};
use crate::gate::aside::Aside;
use crate::gate::posture::OpenWork;
use crate::gate::shared::Pass;
use crate::gate::wire::Wire;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// For the gate's last words to a client that does not read.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// When a connection may be cut so that it loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Now,
    /// Then, if nothing passes until then.
    At(Instant),
    /// Not before something passes.
    Later,
}

/// What a relay must know of the protocol that it carries.
pub trait Talk {
    /// A client that has said all may still read.
    const HALF_CLOSES: bool;

    fn client_sends(&mut self, bytes: &[u8]) -> Result<(), End>;
    fn server_sends(&mut self, bytes: &[u8]) -> Result<(), End>;
    /// There is work that a cut would undo.
    fn is_busy(&self) -> bool;
    /// When the gate may end it, once all that was said has been passed on. A drain, which began
    /// then, cannot wait for ever.
    fn moment(&self, drain: Option<Instant>) -> Moment;
    /// The server may end here, and the client takes it for what it is.
    fn may_end(&self) -> bool;
    /// What the gate says to the client when it ends it, if the server is between two messages.
    fn last_words(&self, end: End) -> Option<Vec<u8>>;
}

struct Session<'a, T: Talk> {
    pass: &'a Pass,
    client: Wire,
    server: Wire,
    up: Pump,
    down: Pump,
    talk: T,
    busy: Busy<'a>,
    /// From then on it is too old.
    old: Option<Instant>,
}

/// Whether the session is in the gate's count of busy ones; dropped, it is not.
struct Busy<'a> {
    pass: &'a Pass,
    counted: bool,
}

/// Carries the session until either side, the posture or its age ends it.
pub async fn run<T: Talk>(
    pass: &Pass,
    client: Wire,
    server: Wire,
    talk: T,
    max_age: Option<Duration>,
) {
    let old = max_age.map(|age| Instant::now() + age);
    let (up, down) = (Pump::default(), Pump::default());
    let busy = Busy { pass, counted: false };
    let mut session = Session { pass, client, server, up, down, talk, busy, old };
    let end = session.carry().await;
    let Session { mut client, server, down, talk, .. } = session;
    if matches!(end, End::Cut | End::Old) {
        pass.shared.counts.cut.fetch_add(1, SeqCst);
        let end = if pass.only_reads() && end == End::Cut { End::Behind } else { end };
        let words = talk.last_words(end).filter(|_| down.flushed());
        if let Some(words) = words
            && say(&mut client, &words).await.is_ok()
        {
            return;
        }
    }
    if end != End::Closed {
        client.reset();
        server.reset();
    }
}

/// Says why, and ends.
pub async fn say<W: AsyncWrite + Unpin>(to: &mut W, words: &[u8]) -> io::Result<()> {
    let said = async {
        to.write_all(words).await?;
        to.shutdown().await
    };
    tokio::time::timeout(LAST_WORDS, said).await?
}

impl<T: Talk> Session<'_, T> {
    async fn carry(&mut self) -> End {
        let pass = self.pass;
        let mut changes = pass.shared.watch();
        let mut drain = None;
        loop {
            let step = pass.shared.drain_step();
            drop(changes.borrow_and_update());
            drain = match pass.open_work() {
                OpenWork::Keep => None,
                OpenWork::Cut => return End::Cut,
                OpenWork::Drain => drain.or_else(|| Some(Instant::now())),
            };
            let old = self.old.is_some_and(|old| old <= Instant::now());
            let ending = drain.is_some() || old;
            let moment = ending.then(|| self.moment(drain));
            let at = match moment {
                Some(Moment::Later) => None,
                Some(Moment::At(at)) if at > Instant::now() => Some(at),
                Some(_) if drain.is_some() => return End::Cut,
                Some(_) => return End::Old,
                None => self.old,
            };
            let news = pin!(async {
                tokio::select! {
                    () = pass.cut.cancelled() => Some(End::Cut),
                    _ = changes.changed() => None,
                    () = step => None,
                    () = sleep_until(at) => None,
                }
            });
            let mut news = Aside::new(news);
            let ended = poll_fn(|context| {
                if let Poll::Ready(end) = self.poll_both(context) {
                    return Poll::Ready(Some(end));
                }
                if moment != ending.then(|| self.moment(drain)) {
                    return Poll::Ready(None);
                }
                Pin::new(&mut news).poll(context)
            });
            if let Some(end) = ended.await {
                return end;
            }
        }
    }

    /// What was said must have arrived, and in a drain, after which nothing new is let in for a
    /// while, requests in flight may still use the session.
    fn moment(&self, drain: Option<Instant>) -> Moment {
        let flushed = self.up.flushed() && self.down.flushed();
        let unused = drain.is_none() || self.pass.shared.http_quiet(&self.pass.route);
        match flushed && unused {
            true => self.talk.moment(drain),
            false => Moment::Later,
        }
    }

    fn poll_both(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.poll_down(context) {
            return Poll::Ready(end);
        }
        let end = self.poll_up(context);
        self.busy.count(self.talk.is_busy());
        // A server that has ended takes nothing more either.
        match self.down.is_done() {
            true => Poll::Ready(End::Closed),
            false => end,
        }
    }

    /// Client to server. Every piece is checked against the posture of this moment: a process
    /// that was stopped and goes on passes nothing of what waited meanwhile.
    fn poll_up(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Self { pass, client, server, up, talk, .. } = self;
        let see = |bytes: &[u8]| match pass.open_work() {
            OpenWork::Cut => Err(End::Cut),
            OpenWork::Keep | OpenWork::Drain => talk.client_sends(bytes),
        };
        match std::task::ready!(up.poll(context, client, server, see)) {
            Halt::Stopped(end) => return Poll::Ready(end),
            Halt::Ended if T::HALF_CLOSES => {
                self.up.end();
                return self.poll_up(context);
            }
            Halt::Ended | Halt::ReadFailed => return Poll::Ready(End::Closed),
            // What the server said last is still on its way down.
            Halt::WriteFailed => self.up.finish(),
        }
        Poll::Pending
    }

    fn poll_down(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Self { client, server, down, talk, .. } = self;
        let see = |bytes: &[u8]| talk.server_sends(bytes);
        match std::task::ready!(down.poll(context, server, client, see)) {
            Halt::Stopped(end) => Poll::Ready(end),
            Halt::Ended if !self.talk.may_end() => Poll::Ready(End::Broken),
            Halt::Ended => {
                self.down.end();
                self.poll_down(context)
            }
            Halt::ReadFailed | Halt::WriteFailed => Poll::Ready(End::Broken),
        }
    }
}

impl Busy<'_> {
    fn count(&mut self, busy: bool) {
        if busy == self.counted || self.pass.only_reads() {
            return;
        }
        self.counted = busy;
        let count = &self.pass.shared.counts.in_transaction;
        match busy {
            true => count.fetch_add(1, SeqCst),
            false => count.fetch_sub(1, SeqCst),
        };
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.count(false);
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
