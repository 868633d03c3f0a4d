//! A snapshot, event by event.

use super::buffer::Buffer;
use super::collect::Collect;
use super::crc::crc64;
use super::error::{Halt, RdbError, Step};
use super::format::Format;
use super::kind::Kind;
use super::part::Part;
use super::shape::Walk;
use super::value::{Entry, Key, Value};
use bytes::Bytes;

/// What a snapshot says, in order. Keys are of the database named last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first.
    Begin(Format),
    /// Something about the source and the snapshot (`redis-ver`, `ctime`, `repl-id`, …).
    Aux {
        name: Bytes,
        value: Bytes,
    },
    Database(u64),
    /// The code of a library, for `FUNCTION LOAD`.
    Function(Bytes),
    Entry(Entry),
    /// A value over the limit follows in parts.
    Large {
        key: Key,
        kind: Kind,
    },
    Part(Part),
    LargeEnd,
    /// The last: the checksum was right. What was fed beyond is [`Reader::rest`].
    End,
}

/// Reads one snapshot. Invariant: an error is final, and what it holds is bounded by the limit and
/// by the longest element of a value (512 MB), whatever is fed.
#[derive(Debug)]
pub struct Reader {
    buffer: Buffer,
    /// A value over so many bytes comes in parts.
    limit: usize,
    format: Option<Format>,
    checksum: u64,
    /// What was said about the next key.
    expires_at: Option<u64>,
    idle: Option<u64>,
    frequency: Option<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    Between,
    /// Before the value of a key; `walk` is how far it is known to be there.
    Value {
        key: Key,
        kind: Kind,
        walk: Walk,
    },
    Large(Box<Collect>),
    Checksum,
    Ended,
    Failed(RdbError),
}

/// Records between keys (`rdb.h`, `RDB_OPCODE_…`).
mod record {
    pub(super) const SLOT_IMPORT: u8 = 243;
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const FUNCTION_PREVIEW: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE: u8 = 251;
    pub(super) const EXPIRES_MILLISECONDS: u8 = 252;
    pub(super) const EXPIRES_SECONDS: u8 = 253;
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
    /// Types of values of modules, which stand where a record can.
    pub(super) const MODULE: u8 = 6;
    pub(super) const MODULE_2: u8 = 7;
}

impl Reader {
    /// A value of more bytes than the limit comes in parts.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Buffer::default(),
            limit,
            format: None,
            checksum: 0,
            expires_at: None,
            idle: None,
            frequency: None,
            state: State::Begin,
        }
    }

    /// Adds bytes that arrived. Ask for events until there is none before adding more: that is what
    /// keeps memory bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.feed(bytes);
    }

    /// The next event; none when more bytes are needed, or after the end.
    ///
    /// # Errors
    /// When the bytes are not a snapshot that we know, from then on always.
    pub fn next_event(&mut self) -> Result<Option<Event>, RdbError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        match self.advance() {
            Ok(event) => Ok(event),
            Err(Halt::Short) => Ok(None),
            Err(Halt::Error(error)) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// What was fed and not read: after the end, what follows the snapshot.
    pub fn rest(&mut self) -> Bytes {
        self.buffer.rest()
    }

    fn advance(&mut self) -> Step<Option<Event>> {
        loop {
            let event = match &mut self.state {
                State::Begin => Some(self.begin()?),
                State::Between => self.record()?,
                State::Value { .. } => Some(self.value()?),
                State::Large(_) => Some(self.large()?),
                State::Checksum => Some(self.end()?),
                State::Ended | State::Failed(_) => return Ok(None),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// What was read until here is done with.
    fn done(&mut self) -> Bytes {
        let bytes = self.buffer.split();
        self.checksum = crc64(self.checksum, &bytes);
        bytes
    }

    fn begin(&mut self) -> Step<Event> {
        let range = self.buffer.take(Format::LENGTH)?;
        let format = Format::read(self.buffer.get(range))?;
        self.done();
        self.format = Some(format);
        self.state = State::Between;
        Ok(Event::Begin(format))
    }

    /// One record, or the begin of a key. Nothing of it is done with before all of it is there.
    fn record(&mut self) -> Step<Option<Event>> {
        let result = self.try_record();
        if matches!(result, Err(Halt::Short)) {
            self.buffer.go_back(0);
        } else {
            self.done();
        }
        result
    }

    fn try_record(&mut self) -> Step<Option<Event>> {
        let buffer = &mut self.buffer;
        let text = |buffer: &mut Buffer| -> Step<Bytes> { Ok(buffer.text()?.bytes(buffer)?) };
        Ok(match buffer.u8()? {
            record::AUX => {
                let (name, value) = (text(buffer)?, text(buffer)?);
                Some(Event::Aux { name, value })
            }
            record::DATABASE => Some(Event::Database(buffer.number()?)),
            record::FUNCTION => Some(Event::Function(text(buffer)?)),
            record::RESIZE => hints(buffer, 2)?,
            record::SLOT_INFO => hints(buffer, 3)?,
            record::EXPIRES_MILLISECONDS => {
                self.expires_at = Some(u64::from_le_bytes(buffer.array()?));
                None
            }
            record::EXPIRES_SECONDS => {
                self.expires_at = Some(u64::from(u32::from_le_bytes(buffer.array()?)) * 1000);
                None
            }
            record::IDLE => {
                self.idle = Some(buffer.number()?);
                None
            }
            record::FREQUENCY => {
                self.frequency = Some(buffer.u8()?);
                None
            }
            record::END => {
                self.state = State::Checksum;
                None
            }
            record::MODULE_AUX => return Err(module(buffer.number()?).into()),
            record::MODULE | record::MODULE_2 => {
                buffer.text()?;
                return Err(module(buffer.number()?).into());
            }
            record::FUNCTION_PREVIEW => {
                return Err(RdbError::Refused("a function of a preview release of Redis 7").into());
            }
            record::SLOT_IMPORT => {
                return Err(RdbError::Refused("slots that are just being imported").into());
            }
            kind => {
                let format = self.format.ok_or(RdbError::Damaged("it has no begin"))?;
                let kind = Kind::of(kind, format)?;
                let name = text(buffer)?;
                let (idle, frequency) = (self.idle.take(), self.frequency.take());
                let key = Key { name, expires_at: self.expires_at.take(), idle, frequency };
                self.state = State::Value { key, kind, walk: Walk::over(kind) };
                None
            }
        })
    }

    /// Walks over the value until all of it is there, or more than the limit.
    fn value(&mut self) -> Step<Event> {
        let State::Value { walk, .. } = &mut self.state else { return Err(Halt::Short) };
        let whole = loop {
            match walk.step(&mut self.buffer) {
                // What is there and not yet understood is of this value too.
                Err(Halt::Short) if self.buffer.fed() <= self.limit => return Err(Halt::Short),
                Err(Halt::Short) => break false,
                step if self.buffer.at() > self.limit => {
                    step?;
                    break false;
                }
                step => {
                    if step?.is_none() {
                        break true;
                    }
                }
            }
        };
        let State::Value { key, kind, .. } = std::mem::replace(&mut self.state, State::Between)
        else {
            return Err(Halt::Short);
        };
        if whole {
            let value = Value { kind, body: self.done() };
            return Ok(Event::Entry(Entry { key, value }));
        }
        self.buffer.go_back(0);
        self.state = State::Large(Box::new(Collect::of(kind)));
        Ok(Event::Large { key, kind })
    }

    /// What was read is done with once for each part, not for each of its many atoms.
    fn large(&mut self) -> Step<Event> {
        let State::Large(collect) = &mut self.state else { return Err(Halt::Short) };
        let step = loop {
            if let Some(part) = collect.part() {
                break Ok(Event::Part(part));
            }
            if collect.has_ended() {
                self.state = State::Between;
                break Ok(Event::LargeEnd);
            }
            if let Err(halt) = collect.step(&mut self.buffer) {
                break Err(halt);
            }
        };
        self.done();
        step
    }

    /// Zero stands for no checksum (`rdbchecksum no`).
    fn end(&mut self) -> Step<Event> {
        let stated = u64::from_le_bytes(self.buffer.array()?);
        let found = self.checksum;
        if stated != 0 && stated != found {
            return Err(RdbError::Checksum { stated, found }.into());
        }
        self.buffer.split();
        self.state = State::Ended;
        Ok(Event::End)
    }
}

/// Sizes of what follows, which nothing depends on.
fn hints(buffer: &mut Buffer, count: usize) -> Step<Option<Event>> {
    for _ in 0..count {
        buffer.number()?;
    }
    Ok(None)
}

/// A module's name is nine characters of six bits each; ten bits of version follow.
fn module(id: u64) -> RdbError {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |at: u32| char::from(LETTERS[(id >> (10 + 6 * at) & 63) as usize]);
    RdbError::Module((0..9).rev().map(letter).collect())
}
