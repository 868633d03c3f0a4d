//! Commands that make a value at a server which does not know the source's encoding of it, or whose
//! value is too large to be sent in one piece.

use super::buffer::Buffer;
use super::collect::Collect;
use super::error::{Halt, RdbError};
use super::format::Format;
use super::kind::Kind;
use super::part::{HashField, Part, StreamId, StreamState};
use super::value::{Entry, Key};
use bytes::Bytes;

/// A command and its arguments.
pub type Command = Vec<Bytes>;

/// Why a value cannot be made at the target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    #[error("the fields of the hash {0} expire, which the target's version does not know")]
    FieldExpiry(String),
    #[error(transparent)]
    Damaged(#[from] RdbError),
}

/// Makes one key of its parts: first it is removed, last it gets its time of expiry. Until then a
/// reader sees it growing.
///
/// One thing is lost, as by Redis's own rewriting of its log: an entry of a stream that is pending
/// and was deleted, which `XCLAIM` does not take.
#[derive(Debug)]
pub struct Rebuild {
    key: Key,
    kind: Kind,
    target: Format,
    begun: bool,
    entries: bool,
}

impl Rebuild {
    pub fn of(key: Key, kind: Kind, target: Format) -> Self {
        Self { key, kind, target, begun: false, entries: false }
    }

    /// The commands of the next part.
    ///
    /// # Errors
    /// When the target has nothing like it.
    pub fn part(&mut self, part: Part) -> Result<Vec<Command>, RebuildError> {
        let mut commands = Vec::new();
        if !self.begun {
            self.begun = true;
            commands.push(self.command("DEL", []));
        }
        match part {
            Part::Text(text) => commands.push(self.command("APPEND", [text])),
            Part::Elements(elements) => commands.push(self.command("RPUSH", elements)),
            Part::Members(members) => commands.push(self.command("SADD", members)),
            Part::Scored(scored) => {
                let words = scored.into_iter().flat_map(|it| [it.score, it.member]);
                commands.push(self.command("ZADD", words));
            }
            Part::Fields(fields) => self.fields(fields, &mut commands)?,
            Part::Entries(entries) => {
                self.entries |= !entries.is_empty();
                commands.extend(entries.into_iter().map(|entry| {
                    self.command("XADD", [text(entry.id)].into_iter().chain(entry.fields))
                }));
            }
            Part::State(state) => self.state(state, &mut commands),
            Part::Group { name, last, read } => {
                let mut group = vec![name, text(last)];
                if let Some(read) = read.filter(|_| self.target.counts_entries()) {
                    group.extend([text("ENTRIESREAD"), text(read)]);
                }
                commands.push(self.sub_command("XGROUP", "CREATE", group));
            }
            Part::Consumer { group, name } => {
                commands.push(self.sub_command("XGROUP", "CREATECONSUMER", [group, name]));
            }
            Part::Pending { group, consumer, entries } => {
                commands.extend(entries.iter().map(|it| {
                    let mut words = vec![group.clone(), consumer.clone(), text(0), text(it.id)];
                    words.extend([text("TIME"), text(it.delivered_at), text("RETRYCOUNT")]);
                    words.extend([text(it.deliveries), text("FORCE"), text("JUSTID")]);
                    self.command("XCLAIM", words)
                }));
            }
        }
        Ok(commands)
    }

    /// The commands after the last part.
    pub fn end(self) -> Vec<Command> {
        let mut commands = Vec::new();
        // An empty string has no part, and is a key nevertheless.
        if !self.begun && self.kind == Kind::String {
            commands.push(self.command("SET", [Bytes::new()]));
        }
        if let Some(at) = self.key.expires_at {
            commands.push(self.command("PEXPIREAT", [text(at)]));
        }
        commands
    }

    fn fields(
        &self,
        fields: Vec<HashField>,
        commands: &mut Vec<Command>,
    ) -> Result<(), RebuildError> {
        let expiring: Vec<_> = fields
            .iter()
            .filter_map(|field| Some((field.expires_at?, field.name.clone())))
            .collect();
        if !expiring.is_empty() && !self.target.expires_fields() {
            let key = self.key.name.escape_ascii().to_string();
            return Err(RebuildError::FieldExpiry(key));
        }
        let words = fields.into_iter().flat_map(|field| [field.name, field.value]);
        commands.push(self.command("HSET", words));
        commands.extend(expiring.into_iter().map(|(at, name)| {
            self.command("HPEXPIREAT", [text(at), text("FIELDS"), text(1), name])
        }));
        Ok(())
    }

    fn state(&self, state: StreamState, commands: &mut Vec<Command>) {
        if !self.entries {
            // As Redis's own log does: an entry that is gone at once makes the stream. The ID 0-0
            // cannot be added.
            let first = StreamId { milliseconds: 0, sequence: 1 };
            let words =
                [text("MAXLEN"), text(0), text(state.last.max(first)), text("f"), text("v")];
            commands.push(self.command("XADD", words));
        }
        let mut words = vec![text(state.last)];
        if let Some((deleted, added)) = state.history.filter(|_| self.target.counts_entries()) {
            words.extend([text("ENTRIESADDED"), text(added)]);
            words.extend([text("MAXDELETEDID"), text(deleted)]);
        }
        commands.push(self.command("XSETID", words));
    }

    fn command(&self, name: &'static str, words: impl IntoIterator<Item = Bytes>) -> Command {
        [Bytes::from_static(name.as_bytes()), self.key.name.clone()]
            .into_iter()
            .chain(words)
            .collect()
    }

    fn sub_command(
        &self,
        name: &'static str,
        sub: &'static str,
        words: impl IntoIterator<Item = Bytes>,
    ) -> Command {
        [name, sub]
            .map(|word| Bytes::from_static(word.as_bytes()))
            .into_iter()
            .chain([self.key.name.clone()])
            .chain(words)
            .collect()
    }
}

/// The commands of a value that came whole.
///
/// # Errors
/// When it is damaged, or the target has nothing like it.
pub fn rebuild(entry: &Entry, target: Format) -> Result<Vec<Command>, RebuildError> {
    let mut buffer = Buffer::default();
    buffer.feed(&entry.value.body);
    let mut collect = Collect::of(entry.value.kind);
    let mut rebuild = Rebuild::of(entry.key.clone(), entry.value.kind, target);
    let mut commands = Vec::new();
    while !collect.has_ended() {
        collect.step(&mut buffer).map_err(|halt| match halt {
            Halt::Short => RdbError::Damaged("a value ends early"),
            Halt::Error(error) => error,
        })?;
        while let Some(part) = collect.part() {
            commands.extend(rebuild.part(part)?);
        }
    }
    commands.extend(rebuild.end());
    Ok(commands)
}

fn text(value: impl ToString) -> Bytes {
    value.to_string().into()
}
