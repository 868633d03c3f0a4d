//! The command stream: from the source into transactions at the target, and back how far it is.

use super::batch::{Batch, FULL, MOST_SENT, Sent};
use super::commands::{Command, Commands};
use super::failure::LinkError;
use super::frames::{self, Passing};
use super::psync::{self, Incoming, Outgoing};
use super::replies::{Answer, Answers};
use super::shared::{Shared, Side};
use crate::redis::connect::Connection;
use bytes::{Buf, BytesMut};
use mainstay_core::position::ReplicationOffset;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};

/// A command that is larger goes through in pieces.
const LARGE: usize = 1024 * 1024;
/// How often the source is told how far the target is. It gives up a replica after a minute.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

/// The target's end of a link.
pub(super) struct Target {
    pub place: String,
    pub writer: WriteHalf<Connection>,
    pub sent: mpsc::Sender<Sent>,
}

impl Target {
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let written = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        written.await.map_err(|e| LinkError::Lost { place: self.place.clone(), why: e.to_string() })
    }

    /// The transaction that `sent` is of is about to be written. There is room: it has a permit.
    pub fn tell(&self, sent: Sent) -> Result<(), LinkError> {
        let over = |_| LinkError::Lost { place: self.place.clone(), why: "it ended".to_owned() };
        self.sent.try_send(sent).map_err(over)
    }
}

/// Reads the target's answers, and moves the position that the link tells. It returns only with an
/// error.
pub(super) async fn answers(
    shared: &Shared,
    place: &str,
    mut half: ReadHalf<Connection>,
    mut sent: mpsc::Receiver<Sent>,
) -> LinkError {
    let lost = |why: String| LinkError::Lost { place: place.to_owned(), why };
    let (mut answers, mut buffer) = (Answers::default(), BytesMut::new());
    let mut first_error = None;
    loop {
        match answers.next(&mut buffer) {
            Err(what) => return lost(format!("it answered with {what}")),
            Ok(None) => {
                buffer.reserve(64 * 1024);
                match half.read_buf(&mut buffer).await {
                    Ok(0) => return lost("the server closed it".to_owned()),
                    Ok(_) => {}
                    Err(error) => return lost(error.to_string()),
                }
            }
            Ok(Some(Answer::Fine)) => {}
            Ok(Some(Answer::Executed { error: None, ok: true })) => {
                let Some(done) = sent.recv().await else { return lost("it ended".to_owned()) };
                if let Some(at) = done.at {
                    shared.positioned(at, done.transactions, done.commands);
                }
            }
            Ok(Some(Answer::Error(error))) if !error.starts_with("EXECABORT") => {
                first_error.get_or_insert(error);
            }
            // The transaction was not carried out, or not well.
            Ok(Some(failed)) => return failure(shared, place, failed, first_error),
        }
    }
}

fn failure(shared: &Shared, place: &str, failed: Answer, first: Option<String>) -> LinkError {
    let why = match failed {
        Answer::Executed { error, .. } => {
            let why = error.or(first);
            why.unwrap_or_else(|| "a command failed, and the server did not say which".to_owned())
        }
        _ => first.unwrap_or_else(|| "MAINSTAY the record changed".to_owned()),
    };
    if why.starts_with("MAINSTAY") {
        return LinkError::Overtaken { place: place.to_owned() };
    }
    LinkError::of_target(place, &shared.spec.record(), why)
}

/// Tells the source how far the target is, at least once a second.
pub(super) async fn acknowledge(
    shared: &Shared,
    place: &str,
    outgoing: &mut Outgoing,
    asked: &Notify,
) -> LinkError {
    loop {
        let sent = match shared.applied() {
            Some(applied) => {
                let command = ["REPLCONF", "ACK", &applied.offset.to_string()];
                psync::send(outgoing, &command, place).await
            }
            // An empty line keeps the connection while the first copy goes on.
            None => psync::send_raw(outgoing, b"\n", place).await,
        };
        if let Err(error) = sent {
            return error;
        }
        tokio::select! {
            () = asked.notified() => {}
            () = tokio::time::sleep(ACKNOWLEDGE) => {}
        }
    }
}

/// Why the stream ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Stopped,
}

pub(super) struct Stream<'a> {
    pub shared: &'a Shared,
    pub incoming: Incoming,
    pub commands: Commands,
    pub batch: Batch,
    pub target: Target,
    /// How far the stream has been taken apart.
    pub at: ReplicationOffset,
    pub asked: &'a Notify,
    /// A large command that goes through, and whether to the target.
    passing: Option<(Passing, bool)>,
    /// Where the arguments of the command under way are, kept for its memory.
    arguments: Vec<Range<usize>>,
}

impl<'a> Stream<'a> {
    pub fn new(
        shared: &'a Shared,
        asked: &'a Notify,
        (incoming, commands): (Incoming, Commands),
        (target, batch): (Target, Batch),
        at: ReplicationOffset,
    ) -> Self {
        let (passing, arguments) = (None, Vec::new());
        Self { shared, incoming, commands, batch, target, at, asked, passing, arguments }
    }

    /// Applies what comes until the source is gone or somebody stops it. What had come by then is
    /// applied before it returns.
    pub async fn run(&mut self) -> Result<End, LinkError> {
        let mut wish = self.shared.wish.subscribe();
        loop {
            let now = *wish.borrow_and_update();
            self.consume(now.limit())?;
            if self.batch.is_full() {
                self.send_full().await?;
                continue;
            }
            self.shared.idle(!self.batch.is_open() && self.nothing_is_sent());
            if (now.stop || now.holds_at(self.at)) && self.is_at_boundary() {
                if self.stand_still(&mut wish).await? == Some(End::Stopped) {
                    return Ok(End::Stopped);
                }
                continue;
            }
            let permits = self.batch.permits();
            let closable = self.batch.is_open() && self.is_at_boundary();
            let read = tokio::select! {
                biased;
                permit = permits.clone().acquire_owned(), if closable => {
                    // It is never closed.
                    let Ok(permit) = permit else { continue };
                    self.close(permit).await?;
                    continue;
                }
                // Told apart from the source's bytes: the status is idle when both have come.
                permit = permits.acquire_many(MOST_SENT), if !closable && !self.nothing_is_sent() => {
                    drop(permit);
                    continue;
                }
                _ = wish.changed() => continue,
                read = self.incoming.more() => read,
            };
            if let Err(error) = read {
                return self.finish(error).await;
            }
        }
    }

    fn nothing_is_sent(&self) -> bool {
        self.batch.permits().available_permits() == MOST_SENT as usize
    }

    fn is_at_boundary(&self) -> bool {
        !self.commands.inside && self.passing.is_none()
    }

    /// Takes the commands in the buffer apart until none is whole, a transaction is full, or all up
    /// to `limit` is taken.
    fn consume(&mut self, limit: Option<ReplicationOffset>) -> Result<(), LinkError> {
        let mut used = 0;
        let is_there = |it: &Self| limit.is_some_and(|limit| it.at >= limit) && it.is_at_boundary();
        while !self.batch.is_full() && !is_there(self) {
            let taken = match self.passing {
                Some(_) => self.pass(used)?,
                None => self.take(used)?,
            };
            if taken == 0 {
                break;
            }
            used += taken;
            self.at.offset += taken as u64;
            if self.is_at_boundary() {
                self.shared.receive(self.at);
            }
        }
        self.incoming.buffer.advance(used);
        if std::mem::take(&mut self.commands.asked) {
            self.asked.notify_one();
        }
        Ok(())
    }

    /// The next command, when it is whole.
    fn take(&mut self, used: usize) -> Result<usize, LinkError> {
        let place = &self.incoming.place;
        let rest = &self.incoming.buffer[used..];
        let scanned = frames::scan(rest, &mut self.arguments)
            .map_err(|e| LinkError::NotUnderstood { place: place.clone(), what: e.to_string() })?;
        let raw = &rest[..scanned.unwrap_or(rest.len())];
        let command = Command { raw, arguments: &self.arguments };
        if scanned.is_some() {
            self.commands.take(command, &mut self.batch).map_err(|e| e.at(place))?;
        } else if rest.len() >= LARGE {
            let goes = self.commands.begin_large(command, &mut self.batch);
            self.passing = Some((Passing::begin(), goes.map_err(|e| e.at(place))?));
            return self.pass(used);
        }
        Ok(scanned.unwrap_or(0))
    }

    /// More of a large command, up to what a transaction takes at once.
    fn pass(&mut self, used: usize) -> Result<usize, LinkError> {
        let rest = &self.incoming.buffer[used..];
        let Some((passing, goes)) = &mut self.passing else { return Ok(0) };
        let (taken, ended) = passing.advance(&rest[..rest.len().min(FULL)]).map_err(|e| {
            LinkError::NotUnderstood { place: self.incoming.place.clone(), what: e.to_string() }
        })?;
        if *goes {
            self.batch.more(&rest[..taken]);
        }
        if ended {
            self.passing = None;
            self.batch.open();
        }
        Ok(taken)
    }

    /// A part of the first copy, in a transaction of its own.
    pub async fn send_copied(&mut self) -> Result<(), LinkError> {
        let Ok(permit) = self.batch.permits().acquire_owned().await else { return Ok(()) };
        let sent = self.batch.close_copy(permit);
        let bytes = self.batch.take();
        self.target.tell(sent)?;
        self.target.write(&bytes).await
    }

    /// The first copy is whole: from here on the target has a position.
    pub async fn copied(&mut self) -> Result<(), LinkError> {
        self.batch.copied();
        self.settle().await?;
        self.shared.copied();
        Ok(())
    }

    /// A transaction of the source that is larger than one of ours goes on in the same one.
    async fn send_full(&mut self) -> Result<(), LinkError> {
        if self.is_at_boundary() {
            let Ok(permit) = self.batch.permits().acquire_owned().await else { return Ok(()) };
            return self.close(permit).await;
        }
        let bytes = self.batch.take();
        self.target.write(&bytes).await
    }

    async fn close(&mut self, permit: tokio::sync::OwnedSemaphorePermit) -> Result<(), LinkError> {
        let sent = self.batch.close(self.at, permit);
        let bytes = self.batch.take();
        self.target.tell(sent)?;
        self.target.write(&bytes).await
    }

    /// Everything that was taken apart is applied at the target.
    async fn settle(&mut self) -> Result<(), LinkError> {
        if self.batch.is_open() && self.is_at_boundary() {
            let Ok(permit) = self.batch.permits().acquire_owned().await else { return Ok(()) };
            self.close(permit).await?;
        }
        // The answers are read beside this, and end it when one is an error.
        drop(self.batch.permits().acquire_many(MOST_SENT).await);
        Ok(())
    }

    async fn stand_still(
        &mut self,
        wish: &mut tokio::sync::watch::Receiver<super::shared::Wish>,
    ) -> Result<Option<End>, LinkError> {
        self.settle().await?;
        self.shared.idle(true);
        self.shared.progress.send_modify(|progress| progress.held = true);
        let at = self.at;
        let goes_on = wish.wait_for(|wish| wish.stop || !wish.holds_at(at)).await;
        let until = goes_on.map(|wish| wish.stop);
        self.shared.progress.send_modify(|progress| progress.held = false);
        // The sender lives as long as `shared`.
        Ok(until.unwrap_or(true).then_some(End::Stopped))
    }

    /// The source is gone: what it had sent is still applied, if it is whole.
    async fn finish(&mut self, error: LinkError) -> Result<End, LinkError> {
        loop {
            self.consume(None)?;
            if !self.batch.is_full() {
                break;
            }
            self.send_full().await?;
        }
        self.settle().await?;
        self.shared.idle(true);
        self.shared.source(Side::Down(error.to_string()));
        Err(error)
    }
}
