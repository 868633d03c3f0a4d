//! The receiving side: from the source's stream into the queue.

use super::apply::stop_wished;
use super::assemble::{AssembleError, Assembler, Fed};
use super::failure::{LinkError, Verdict};
use super::schema::{self, Arrival};
use super::shared::{Shared, Side};
use super::sql::Sql;
use super::unit::Unit;
use super::{lineage, observe, resume};
use crate::backoff::Backoff;
use crate::postgres::connect::place;
use crate::postgres::replication::{
    ChangeReader, ChangeStream, Protocol, Replication, StatusSender,
};
use bytes::Bytes;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{Decoded, Decoder, Message, StatusUpdate, StreamMessage};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const PUBLICATION: &str = "mainstay";
/// How often the source is told the position, and asked for a sign of life.
const STATUS: Duration = Duration::from_secs(1);
/// How often the source is told a position that has moved. Its slot keeps no more history than it
/// must, and a reader that comes back has less to go through.
const CONFIRM: Duration = Duration::from_millis(100);
/// A source that says nothing for this long, although it is asked, is gone.
const GONE: Duration = Duration::from_secs(10);
/// A session that lasted this long is not one of a series of failures.
const LASTED: Duration = Duration::from_millis(500);

/// Receives until that is no longer possible, connecting again by itself; the error is final.
pub(super) async fn receive(shared: &Shared) -> LinkError {
    let mut backoff = Backoff::default();
    loop {
        let start = Instant::now();
        let Err(error) = session(shared).await;
        if let Verdict::Stop(_) = error.verdict() {
            return error;
        }
        if start.elapsed() > LASTED {
            backoff.succeeded();
        }
        tracing::warn!(link = %shared.spec.name(), %error, "the link lost its source; trying again");
        shared.source(Side::Down(error.to_string()));
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn session(shared: &Shared) -> Result<std::convert::Infallible, LinkError> {
    let spec = &shared.spec;
    let slot = spec.slot();
    let watcher = Sql::open(&spec.source, &format!("watch {slot}")).await?;
    let mut connection = Replication::connect(&spec.source, &format!("link {slot}")).await?;
    let checking = lineage::check(shared, &mut connection);
    let lineage = in_time(&place(&spec.source), checking).await??;
    let from = may_go_on(shared, &watcher, &slot).await?;
    lineage::keep(shared, lineage).await?;
    let schema = Arrival::new(schema::token(&watcher).await?);
    let starting = connection.start(&slot, from, PUBLICATION, Protocol::InProgress);
    let stream = in_time(&place(&spec.source), starting).await??;
    shared.source(Side::Up);
    let mut receiver = Receiver {
        shared,
        place: place(&spec.source),
        assembler: Assembler::new(spec.spool.clone(), schema),
        decoder: Decoder::default(),
        heard: Instant::now(),
        told: None,
        clock_micros: 0,
    };
    let ended = tokio::select! {
        Err(error) = receiver.run(stream) => error,
        error = observe::observe(shared, watcher) => error,
    };
    receiver.abandon();
    Err(ended)
}

/// A source that is there answers within a while.
async fn in_time<T>(place: &str, answer: impl Future<Output = T>) -> Result<T, LinkError> {
    tokio::time::timeout(GONE, answer).await.map_err(|_| silent(place))
}

fn silent(place: &str) -> LinkError {
    LinkError::Silent { place: place.to_owned(), seconds: GONE.as_secs() }
}

/// Checks publication, slot and position, ends what still uses the slot, and returns where to stream from.
async fn may_go_on(shared: &Shared, watcher: &Sql, slot_name: &str) -> Result<Lsn, LinkError> {
    const END: &str = "SELECT pg_terminate_backend($1, 5000)";
    let tail = shared.queue.tail().unwrap_or_default();
    let applied = shared.applied().unwrap_or_default();
    observe::publication(watcher).await?;
    let slot = resume::find_slot(watcher, slot_name).await?;
    let end = resume::source_end(watcher).await?;
    resume::check(watcher.place(), slot_name, slot.as_ref(), applied, end)?;
    if tail > end {
        let (place, position) = (watcher.place().to_owned(), tail);
        return Err(LinkError::SourceRewound { place, end, position });
    }
    if let Some(pid) = slot.and_then(|slot| slot.active_pid) {
        watcher.rows("end the slot's older reader", END, &[&pid]).await?;
    }
    Ok(tail)
}

/// What a message of the stream says.
enum Heard {
    /// Perhaps a position, and whether the source wants an answer.
    Covered {
        unit: Option<Unit>,
        reply: bool,
    },
    Decoded(Decoded, Bytes),
}

struct Receiver<'a> {
    shared: &'a Shared,
    place: String,
    assembler: Assembler,
    decoder: Decoder,
    heard: Instant,
    /// The position that the source was told.
    told: Option<Lsn>,
    /// The source's clock in its newest message.
    clock_micros: i64,
}

impl Receiver<'_> {
    async fn run(&mut self, stream: ChangeStream) -> Result<std::convert::Infallible, LinkError> {
        let ChangeStream { mut reader, mut sender } = stream;
        let shared = self.shared;
        let mut wish = shared.wish.subscribe();
        let mut due = tokio::time::interval(STATUS);
        let mut confirm = tokio::time::interval(CONFIRM);
        let mut waiting: Option<Unit> = None;
        loop {
            tokio::select! {
                _ = due.tick() => {
                    self.check_silence(waiting.is_some())?;
                    self.tell(&mut sender).await?;
                }
                _ = confirm.tick() => if shared.applied() > self.told {
                    self.tell(&mut sender).await?;
                },
                // Somebody waits for a position, or the source's end was looked at.
                Ok(()) = wish.changed() => self.tell(&mut sender).await?,
                () = shared.sampled.notified() => self.tell(&mut sender).await?,
                () = shared.queue.room(), if waiting.is_some() => self.push(waiting.take()),
                next = reader.next(), if waiting.is_none() => {
                    let mut next = Some(next?);
                    // What has arrived is taken at once, without looking around in between.
                    while let Some(message) = next {
                        let heard = self.heard(&reader, message)?;
                        waiting = self.message(&mut sender, heard).await?;
                        if waiting.is_some() && shared.queue.has_room() {
                            self.push(waiting.take());
                        }
                        next = if waiting.is_none() { reader.buffered()? } else { None };
                    }
                    self.heard = Instant::now();
                    self.shared.heard(self.clock_micros, None);
                }
            }
        }
    }

    /// What a message completes.
    async fn message(
        &mut self,
        sender: &mut StatusSender,
        heard: Heard,
    ) -> Result<Option<Unit>, LinkError> {
        match heard {
            Heard::Covered { unit, reply } => {
                if reply {
                    self.tell(sender).await?;
                }
                Ok(unit)
            }
            Heard::Decoded(decoded, raw) => self.feed(decoded, &raw).await,
        }
    }

    fn push(&self, unit: Option<Unit>) {
        if let Some(unit) = unit {
            self.shared.queue.push(unit);
            self.shared.queue.arriving(self.assembler.arriving());
            if let Some(received) = self.shared.queue.received() {
                self.shared.received(received);
            }
        }
    }

    /// While the queue is full nothing is read, so that nothing is heard either.
    fn check_silence(&mut self, full: bool) -> Result<(), LinkError> {
        if full {
            self.heard = Instant::now();
        }
        if self.heard.elapsed() < GONE {
            return Ok(());
        }
        Err(silent(&self.place))
    }

    /// Only what is durable at the target is confirmed.
    async fn tell(&mut self, sender: &mut StatusSender) -> Result<(), LinkError> {
        let applied = self.shared.applied().unwrap_or_default();
        self.told = Some(applied);
        let written = self.shared.queue.tail().unwrap_or(applied).max(applied);
        let clock_micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_micros = i64::try_from(clock_micros.as_micros()).unwrap_or(i64::MAX);
        let status = StatusUpdate { written, flushed: applied, applied, clock_micros, reply: true };
        Ok(in_time(&self.place, sender.send(status)).await??)
    }

    fn heard(&mut self, reader: &ChangeReader, message: StreamMessage) -> Result<Heard, LinkError> {
        match message {
            StreamMessage::Keepalive { end, clock_micros, reply } => {
                // Within a transaction it says nothing of that transaction.
                let end = self.assembler.arriving().is_none().then_some(end);
                self.clock_micros = clock_micros;
                self.shared.heard(clock_micros, end);
                Ok(Heard::Covered { unit: end.map(Unit::Covered), reply })
            }
            StreamMessage::XLogData { clock_micros, data, .. } => {
                self.clock_micros = clock_micros;
                let decoded = self.decoder.decode(data.clone());
                let decoded = decoded.map_err(|why| reader.undecoded(why))?;
                Ok(Heard::Decoded(decoded, data))
            }
        }
    }

    async fn feed(&mut self, decoded: Decoded, raw: &Bytes) -> Result<Option<Unit>, LinkError> {
        let begins = matches!(decoded.message, Message::Begin(_));
        let fed = self.assembler.feed(decoded, raw).map_err(|why| self.not_assembled(why))?;
        if begins {
            self.shared.queue.arriving(self.assembler.arriving());
        }
        if let Some(spool) = self.assembler.due() {
            spool.write().await.map_err(|why| self.not_assembled(why.into()))?;
        }
        match fed {
            Fed::Nothing => Ok(None),
            Fed::Unit(unit) => Ok(Some(unit)),
            Fed::Spooled(draft) => {
                draft.finish().await.map(Some).map_err(|why| self.not_assembled(why.into()))
            }
        }
    }

    fn not_assembled(&self, error: AssembleError) -> LinkError {
        let place = self.place.clone();
        match error {
            AssembleError::NotUnderstood(what) => {
                LinkError::NotUnderstood { place, what: what.to_string() }
            }
            AssembleError::Spool(why) => {
                let place = self.shared.spec.spool.display().to_string();
                LinkError::Spool { place, why: why.to_string() }
            }
        }
    }

    /// What has come of a transaction is forgotten; it comes again, whole.
    fn abandon(&self) {
        self.shared.queue.arriving(None);
        if self.assembler.ahead().is_some() {
            self.shared.queue.push(Unit::Withdrawn);
        }
    }
}

/// For a link that has no position yet: the same wait, until it is told to stop.
pub(super) async fn wait_or_stop(shared: &Shared, wait: Duration) -> bool {
    let mut wish = shared.wish.subscribe();
    tokio::select! {
        () = tokio::time::sleep(wait) => false,
        () = stop_wished(&mut wish) => true,
    }
}
