//! Bytes between a client and a PostgreSQL server (or the gate that leads to it), as long as the
//! posture allows.

use super::message::Fatal;
use super::tracker::Tracker;
use crate::gate::posture::OpenWork;
use crate::gate::shared::Pass;
use crate::gate::wire::Wire;
use crate::tick;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Of each direction of each connection.
const BUFFER: usize = 16 * 1024;
/// For the gate's last words to a client that does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A client that has just connected is about to say what it wants: a drain waits so long for its
/// log-in, and then so long for its first words.
const LOG_IN: Duration = Duration::from_secs(1);
const FIRST_WORDS: Duration = Duration::from_millis(200);

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the client or the server.
    Closed,
    /// By the gate.
    Cut,
    /// One side's bytes are not PostgreSQL's, or its connection broke.
    Broken,
}

struct Session<'a> {
    pass: &'a Pass,
    state: Mutex<State>,
    settled: Notify,
}

struct State {
    tracker: Tracker,
    /// All that was read from the server has been written to the client.
    flushed: bool,
    counted_busy: bool,
    /// The gate waits for a moment at which cutting loses nothing.
    draining: bool,
    /// Until then the session counts as new; None once it was used.
    new_until: Option<Instant>,
}

/// Carries the session until either side or the posture ends it.
pub async fn run(pass: &Pass, client: Wire, server: Wire) {
    let session = Session::new(pass);
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let end = tokio::select! {
        end = session.upward(&mut from_client, &mut to_server) => end,
        end = session.downward(&mut from_server, &mut to_client) => end,
        end = session.verdict() => end,
    };
    if end == End::Cut {
        pass.shared.counts.cut.fetch_add(1, SeqCst);
        if session.may_speak() && say(&mut to_client, &Fatal::terminated()).await.is_ok() {
            return;
        }
    }
    if end != End::Closed {
        from_client.unsplit(to_client).reset();
        from_server.unsplit(to_server).reset();
    }
}

/// Says why, and ends.
pub async fn say<W: tokio::io::AsyncWrite + Unpin>(to: &mut W, fatal: &Fatal) -> io::Result<()> {
    let words = async {
        to.write_all(&fatal.encode()).await?;
        to.shutdown().await
    };
    tokio::time::timeout(LAST_WORDS, words).await?
}

impl<'a> Session<'a> {
    fn new(pass: &'a Pass) -> Self {
        let tracker = Tracker::started();
        let new_until = Some(Instant::now() + LOG_IN);
        let state =
            State { tracker, flushed: true, counted_busy: false, draining: false, new_until };
        Self { pass, state: Mutex::new(state), settled: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when a drain spares the session because it is new.
    fn new_until(&self) -> Option<Instant> {
        self.state().new_until.filter(|until| Instant::now() < *until)
    }

    fn may_speak(&self) -> bool {
        let state = self.state();
        state.flushed && state.tracker.may_speak()
    }

    /// Client to server. Every piece is checked against the posture of this moment: a process
    /// that was stopped and goes on passes nothing of what waited meanwhile.
    async fn upward(&self, from: &mut ReadHalf<Wire>, to: &mut WriteHalf<Wire>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            let bytes = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return End::Closed,
                Ok(count) => &buffer[..count],
            };
            if self.pass.shared.open_work(&self.pass.route) == OpenWork::Cut {
                return End::Cut;
            }
            if self.note(|state| state.tracker.client_sends(bytes)).is_err() {
                return End::Broken;
            }
            if write(to, bytes).await.is_err() {
                // What the server said last is still on its way down.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn downward(&self, from: &mut ReadHalf<Wire>, to: &mut WriteHalf<Wire>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            let bytes = match from.read(&mut buffer).await {
                Ok(0) if self.state().tracker.may_speak() => return End::Closed,
                Ok(0) | Err(_) => return End::Broken,
                Ok(count) => &buffer[..count],
            };
            let seen = self.note(|state| {
                state.flushed = false;
                state.tracker.server_sends(bytes)
            });
            if seen.is_err() || write(to, bytes).await.is_err() {
                return End::Broken;
            }
            let written = self.note(|state| {
                state.flushed = true;
                Ok::<_, std::convert::Infallible>(())
            });
            match written {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
    }

    /// Changes the state, and keeps the gate's count of busy sessions right.
    fn note<E>(&self, change: impl FnOnce(&mut State) -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state();
        change(&mut state)?;
        state.age();
        let busy = state.tracker.is_busy();
        if busy != state.counted_busy {
            state.counted_busy = busy;
            self.count(busy);
        }
        if state.draining && !busy && state.flushed {
            self.settled.notify_one();
        }
        Ok(())
    }

    fn count(&self, busy: bool) {
        let count = &self.pass.shared.counts.in_transaction;
        match busy {
            true => count.fetch_add(1, SeqCst),
            false => count.fetch_sub(1, SeqCst),
        };
    }

    /// Ends when the gate must end the session.
    async fn verdict(&self) -> End {
        let shared = &self.pass.shared;
        let mut changes = shared.watch();
        loop {
            let step = shared.drain_step();
            let verdict = {
                let duty = changes.borrow_and_update();
                duty.standing.open_work(&self.pass.route, tick::now())
            };
            match verdict {
                OpenWork::Keep => self.state().draining = false,
                OpenWork::Cut => return End::Cut,
                OpenWork::Drain if self.may_be_cut() => return End::Cut,
                OpenWork::Drain => {}
            }
            let new_until = self.new_until().filter(|_| verdict == OpenWork::Drain);
            tokio::select! {
                () = sleep_until(new_until) => {}
                () = self.pass.cut.cancelled() => return End::Cut,
                _ = changes.changed() => {}
                () = step => {}
                () = self.settled.notified() => {}
            }
        }
    }

    /// Outside a transaction, and no request is in flight that could still use the session.
    fn may_be_cut(&self) -> bool {
        let mut state = self.state();
        state.draining = true;
        let new = state.new_until.is_some_and(|until| Instant::now() < until);
        !new && self.pass.shared.http_quiet(&self.pass.route)
            && !state.tracker.is_busy()
            && state.flushed
    }
}

impl State {
    /// Logged in: the first words are waited for. Busy once: the session is not new any more.
    fn age(&mut self) {
        if self.tracker.is_busy() {
            self.new_until = None;
        } else if self.tracker.is_logged_in()
            && let Some(until) = &mut self.new_until
        {
            *until = (*until).min(Instant::now() + FIRST_WORDS);
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if self.state().counted_busy {
            self.count(false);
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn write(to: &mut WriteHalf<Wire>, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}
