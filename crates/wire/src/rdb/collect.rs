//! The parts of a value, from the atoms that it consists of.

use super::buffer::{Buffer, TextHead};
use super::error::{Halt, RdbError, Step};
use super::kind::Kind;
use super::lzf::Lzf;
use super::packed::{intset, listpack, ziplist, zipmap};
use super::part::{HashField, Part, Pending, Scored, StreamId, StreamState};
use super::shape::{Atom, Role, Walk};
use super::stream;
use bytes::Bytes;
use std::collections::VecDeque;

/// A part is ended at so many bytes, or so many things.
const BYTES: usize = 64 * 1024;
const THINGS: usize = 500;
/// So much of a long string at a time.
const TEXT: usize = 512 * 1024;
/// The same of a compressed one, which is up to 90 times as long.
const PACKED_TEXT: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Collect {
    kind: Kind,
    walk: Walk,
    text: Option<LongText>,
    ready: VecDeque<Part>,
    ended: bool,
    things: Vec<Bytes>,
    scored: Vec<Scored>,
    fields: Vec<HashField>,
    bytes: usize,
    /// Of a hash: when its first field expires, and the one that is being read.
    first_expiry: u64,
    expiry: Option<u64>,
    plain_node: bool,
    /// The node's ID, then the ID of the pending entry that is being read.
    id: StreamId,
    numbers: Vec<u64>,
    group: Bytes,
    consumer: Bytes,
    /// All that is pending in the group, by ID: 32 bytes each.
    pending: Vec<Pending>,
    owned: Vec<Pending>,
}

/// A string that is the whole value and comes piece by piece.
#[derive(Debug)]
enum LongText {
    Raw(usize),
    Lzf(Lzf),
}

impl Collect {
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            walk: Walk::over(kind),
            text: None,
            ready: VecDeque::new(),
            ended: false,
            things: vec![],
            scored: vec![],
            fields: vec![],
            bytes: 0,
            first_expiry: 0,
            expiry: None,
            plain_node: false,
            id: StreamId::default(),
            numbers: vec![],
            group: Bytes::new(),
            consumer: Bytes::new(),
            pending: vec![],
            owned: vec![],
        }
    }

    /// The next part that is ready.
    pub(super) fn part(&mut self) -> Option<Part> {
        self.ready.pop_front()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads the next atom, or a piece of a long string. All that was read is done with.
    pub(super) fn step(&mut self, buffer: &mut Buffer) -> Step<()> {
        if self.walk.is_at_whole() {
            return self.text_step(buffer);
        }
        match self.walk.step(buffer)? {
            None => {
                self.flush();
                self.ended = true;
                Ok(())
            }
            Some((role, atom)) => self.take(role, &atom, buffer).map_err(Halt::Error),
        }
    }

    fn text_step(&mut self, buffer: &mut Buffer) -> Step<()> {
        let text = match &mut self.text {
            Some(text) => text,
            none => none.insert(match buffer.text_head()? {
                TextHead::Raw(length) => LongText::Raw(length),
                TextHead::Lzf { packed, length } => LongText::Lzf(Lzf::new(packed, length)),
                TextHead::Int(number) => {
                    self.ready.push_back(Part::Text(number.to_string().into()));
                    LongText::Raw(0)
                }
            }),
        };
        let (piece, left) = match text {
            LongText::Raw(0) => (Bytes::new(), 0),
            LongText::Raw(left) => {
                let range = buffer.take_some((*left).min(TEXT))?;
                *left -= range.len();
                (Bytes::copy_from_slice(buffer.get(range)), *left)
            }
            LongText::Lzf(lzf) => {
                let range = buffer.take_some(lzf.packed_left().min(PACKED_TEXT))?;
                lzf.feed(buffer.get(range))?;
                (lzf.take().into(), lzf.packed_left())
            }
        };
        if !piece.is_empty() {
            self.ready.push_back(Part::Text(piece));
        }
        self.ended = left == 0;
        Ok(())
    }

    fn take(&mut self, role: Role, atom: &Atom, buffer: &Buffer) -> Result<(), RdbError> {
        match atom {
            Atom::Text(text) => self.take_text(role, text.bytes(buffer)?),
            Atom::Number(number) => self.take_number(role, *number),
            Atom::Fixed(range) => self.take_fixed(role, buffer.get(range.clone())),
            Atom::Score(length, digits) => {
                let score = match length {
                    255 => Bytes::from_static(b"-inf"),
                    254 => Bytes::from_static(b"inf"),
                    253 => return Err(RdbError::Damaged("a score that is no number")),
                    _ => Bytes::copy_from_slice(buffer.get(digits.clone())),
                };
                self.score(score)
            }
        }
    }

    fn take_text(&mut self, role: Role, text: Bytes) -> Result<(), RdbError> {
        match role {
            Role::Whole | Role::Element | Role::Member | Role::Field => {
                let ends = role != Role::Field && !self.is_sorted_set();
                self.thing(text, ends);
            }
            Role::Value => self.value(text)?,
            Role::Packed => self.packed(text)?,
            Role::Node if self.plain_node => self.thing(text, true),
            Role::Node => {
                listpack(text)?.into_iter().for_each(|element| self.thing(element, true));
            }
            Role::NodeId => self.id = stream::id(&text)?,
            Role::StreamNode => {
                let entries = stream::entries(self.id, text)?;
                // A node is small; one of entries that were all deleted has none.
                if !entries.is_empty() {
                    self.ready.push_back(Part::Entries(entries));
                }
            }
            Role::GroupName => {
                self.flush();
                self.group = text;
                self.pending.clear();
            }
            Role::ConsumerName => {
                self.flush();
                self.consumer = text.clone();
                self.ready.push_back(Part::Consumer { group: self.group.clone(), name: text });
            }
            _ => return Err(MISPLACED),
        }
        Ok(())
    }

    fn take_number(&mut self, role: Role, number: u64) -> Result<(), RdbError> {
        match role {
            Role::FieldLeft => {
                let at = self.first_expiry.checked_add(number.saturating_sub(1));
                self.expiry = (number > 0).then(|| at.ok_or(MISPLACED)).transpose()?;
            }
            Role::NodeKind => {
                self.plain_node = match number {
                    1 => true,
                    2 => false,
                    _ => return Err(RdbError::Damaged("a list's node of an unknown kind")),
                }
            }
            Role::StreamNumber => {
                self.numbers.push(number);
                self.state();
            }
            Role::GroupNumber => {
                self.numbers.push(number);
                self.group_begins();
            }
            Role::PendingCount => {
                if let Some(last) = self.pending.last_mut() {
                    last.deliveries = number;
                }
            }
            _ => return Err(MISPLACED),
        }
        Ok(())
    }

    fn take_fixed(&mut self, role: Role, bytes: &[u8]) -> Result<(), RdbError> {
        let wide = || <[u8; 8]>::try_from(bytes).map_err(|_| MISPLACED);
        match role {
            Role::ScoreBinary => {
                let score = f64::from_le_bytes(wide()?);
                if score.is_nan() {
                    return Err(RdbError::Damaged("a score that is no number"));
                }
                self.score(format!("{score:e}").into())?;
            }
            Role::FirstExpiry => self.first_expiry = u64::from_le_bytes(wide()?),
            // It stands after the value, whose field is the last.
            Role::FieldExpiry => {
                let at = u64::try_from(i64::from_le_bytes(wide()?)).ok();
                if let Some(field) = self.fields.last_mut() {
                    field.expires_at = at;
                }
                self.flush_when_full();
            }
            Role::PendingId => {
                let id = stream::id(bytes)?;
                self.pending.push(Pending { id, delivered_at: 0, deliveries: 0 });
            }
            Role::PendingTime => {
                if let Some(last) = self.pending.last_mut() {
                    last.delivered_at = u64::from_le_bytes(wide()?);
                }
            }
            Role::ConsumerTime => {}
            Role::Owned => self.owned(stream::id(bytes)?)?,
            _ => return Err(MISPLACED),
        }
        Ok(())
    }

    fn packed(&mut self, text: Bytes) -> Result<(), RdbError> {
        let elements = match self.kind {
            Kind::SetIntset => intset(text)?,
            Kind::HashZipmap => zipmap(text)?,
            Kind::ListZiplist
            | Kind::ListQuicklist
            | Kind::SortedSetZiplist
            | Kind::HashZiplist => ziplist(text)?,
            _ => listpack(text)?,
        };
        let size = match self.kind {
            Kind::HashListpackExpiring => 3,
            Kind::HashZipmap | Kind::HashZiplist | Kind::HashListpack => 2,
            _ if self.is_sorted_set() => 2,
            _ => 1,
        };
        for item in elements.chunks(size) {
            match item {
                [element] if size == 1 => self.thing(element.clone(), true),
                [member, score] if self.is_sorted_set() => {
                    self.thing(member.clone(), false);
                    self.score(score.clone())?;
                }
                [name, value] if size == 2 => {
                    self.thing(name.clone(), false);
                    self.value(value.clone())?;
                }
                [name, value, expiry] => {
                    let at = std::str::from_utf8(expiry).ok().and_then(|text| text.parse().ok());
                    let at: u64 = at.ok_or(RdbError::Damaged("a field's expiry is no time"))?;
                    self.expiry = (at > 0).then_some(at);
                    self.thing(name.clone(), false);
                    self.value(value.clone())?;
                }
                _ => return Err(RdbError::Damaged("a packed value has half of a pair")),
            }
        }
        Ok(())
    }

    fn is_sorted_set(&self) -> bool {
        matches!(
            self.kind,
            Kind::SortedSet | Kind::SortedSet2 | Kind::SortedSetZiplist | Kind::SortedSetListpack
        )
    }

    /// An element or a member; or a name whose value or score follows.
    fn thing(&mut self, thing: Bytes, ends: bool) {
        self.bytes += thing.len();
        self.things.push(thing);
        if ends {
            self.flush_when_full();
        }
    }

    fn score(&mut self, score: Bytes) -> Result<(), RdbError> {
        let member = self.things.pop().ok_or(MISPLACED)?;
        self.scored.push(Scored { score, member });
        self.flush_when_full();
        Ok(())
    }

    fn value(&mut self, value: Bytes) -> Result<(), RdbError> {
        let name = self.things.pop().ok_or(MISPLACED)?;
        self.bytes += value.len();
        self.fields.push(HashField { name, value, expires_at: self.expiry.take() });
        if self.kind != Kind::HashExpiring {
            self.flush_when_full();
        }
        Ok(())
    }

    fn state(&mut self) {
        let state = match self.numbers[..] {
            [length, ms, seq] if self.kind == Kind::Stream => {
                StreamState { length, last: stream_id(ms, seq), history: None }
            }
            [length, ms, seq, _, _, deleted_ms, deleted_seq, added] => StreamState {
                length,
                last: stream_id(ms, seq),
                history: Some((stream_id(deleted_ms, deleted_seq), added)),
            },
            _ => return,
        };
        self.numbers.clear();
        self.ready.push_back(Part::State(state));
    }

    fn group_begins(&mut self) {
        let (last, read) = match self.numbers[..] {
            [ms, seq] if self.kind == Kind::Stream => (stream_id(ms, seq), None),
            // -1 stands for a number that is not known.
            [ms, seq, read] => (stream_id(ms, seq), Some(read).filter(|it| *it != u64::MAX)),
            _ => return,
        };
        self.numbers.clear();
        self.ready.push_back(Part::Group { name: self.group.clone(), last, read });
    }

    /// The group's entries stand in the order of their IDs.
    fn owned(&mut self, id: StreamId) -> Result<(), RdbError> {
        let found = self.pending.binary_search_by_key(&id, |pending| pending.id);
        let found =
            found.map_err(|_| RdbError::Damaged("a consumer has what its group has not"))?;
        self.owned.push(self.pending[found]);
        self.flush_when_full();
        Ok(())
    }

    fn flush_when_full(&mut self) {
        let things = self.things.len() + self.scored.len() + self.fields.len() + self.owned.len();
        if self.bytes >= BYTES || things >= THINGS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        let ready = &mut self.ready;
        if !self.things.is_empty() {
            let things = std::mem::take(&mut self.things);
            ready.push_back(match self.kind {
                Kind::Set | Kind::SetIntset | Kind::SetListpack => Part::Members(things),
                _ => Part::Elements(things),
            });
        }
        if !self.scored.is_empty() {
            ready.push_back(Part::Scored(std::mem::take(&mut self.scored)));
        }
        if !self.fields.is_empty() {
            ready.push_back(Part::Fields(std::mem::take(&mut self.fields)));
        }
        if !self.owned.is_empty() {
            let (group, consumer) = (self.group.clone(), self.consumer.clone());
            let entries = std::mem::take(&mut self.owned);
            ready.push_back(Part::Pending { group, consumer, entries });
        }
    }
}

const MISPLACED: RdbError = RdbError::Damaged("a value's parts do not fit together");

fn stream_id(milliseconds: u64, sequence: u64) -> StreamId {
    StreamId { milliseconds, sequence }
}
