//! One `pgoutput` message from its bytes.

use super::message::{
    Begin, Column, Commit, CommitPrepared, Identity, LogicalMessage, Message, OldTuple, Prepare,
    Relation, RollbackPrepared, StreamCommit, Truncate, Tuple, TypeName, Value,
};
use super::{DecodeError, POSTGRES_EPOCH_MICROS, Tag};
use crate::reader::{Malformed, Reader};
use bytes::Bytes;
use mainstay_core::position::Lsn;

/// A field was damaged, or had a value that this version does not know.
enum Fault {
    Malformed(Malformed),
    Unknown { what: &'static str, tag: u8 },
}

impl From<Malformed> for Fault {
    fn from(why: Malformed) -> Self {
        Fault::Malformed(why)
    }
}

type Field<T> = Result<T, Fault>;

/// Where in the replication stream a message may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Never inside a streamed block.
    Between,
    /// Only inside a streamed block.
    Within,
    /// Both; inside a streamed block it begins with the (sub)transaction that made it.
    Change,
    Anywhere,
}

struct Kind {
    name: &'static str,
    place: Place,
    body: fn(&mut Reader) -> Field<Message>,
}

/// What protocol version 1 sends: whole transactions after their commit.
fn committed(tag: u8) -> Option<Kind> {
    let kind = |name, place, body| Some(Kind { name, place, body });
    match tag {
        b'B' => kind("Begin", Place::Between, begin),
        b'C' => kind("Commit", Place::Between, commit),
        b'O' => kind("Origin", Place::Anywhere, origin),
        b'R' => kind("Relation", Place::Change, relation),
        b'Y' => kind("Type", Place::Change, type_name),
        b'I' => kind("Insert", Place::Change, insert),
        b'U' => kind("Update", Place::Change, update),
        b'D' => kind("Delete", Place::Change, delete),
        b'T' => kind("Truncate", Place::Change, truncate),
        b'M' => kind("Message", Place::Change, logical),
        _ => None,
    }
}

/// What the versions from 2 on add: transactions in progress, and prepared ones.
fn in_progress(tag: u8) -> Option<Kind> {
    let kind = |name, place, body| Some(Kind { name, place, body });
    match tag {
        b'S' => kind("Stream Start", Place::Between, stream_start),
        b'E' => kind("Stream Stop", Place::Within, |_| Ok(Message::StreamStop)),
        b'c' => kind("Stream Commit", Place::Between, stream_commit),
        b'A' => kind("Stream Abort", Place::Between, stream_abort),
        b'b' => kind("Begin Prepare", Place::Between, begin_prepare),
        b'P' => kind("Prepare", Place::Between, |r| Ok(Message::Prepare(flagged_prepare(r)?))),
        b'K' => kind("Commit Prepared", Place::Between, commit_prepared),
        b'r' => kind("Rollback Prepared", Place::Between, rollback_prepared),
        b'p' => kind("Stream Prepare", Place::Between, |r| {
            Ok(Message::StreamPrepare(flagged_prepare(r)?))
        }),
        _ => None,
    }
}

/// Reads the messages of one replication stream, of every protocol version.
///
/// What bytes mean depends on what came before them: inside a streamed block each change begins
/// with the number of its (sub)transaction. So a decoder belongs to one connection and sees each
/// of its messages, in order. After an error it must not be used again.
#[derive(Debug, Default)]
pub struct Decoder {
    streaming: bool,
}

/// A message, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The (sub)transaction that made a change of a transaction in progress, which may still be
    /// rolled back alone (a savepoint). None outside a streamed block.
    pub subtransaction: Option<u32>,
    pub message: Message,
}

impl Decoder {
    /// The one message that `bytes` hold, whole.
    pub fn decode(&mut self, bytes: Bytes) -> Result<Decoded, DecodeError> {
        let decoded =
            whole(bytes, self.streaming, |tag| committed(tag).or_else(|| in_progress(tag)))?;
        match decoded.message {
            Message::StreamStart { .. } => self.streaming = true,
            Message::StreamStop => self.streaming = false,
            _ => {}
        }
        Ok(decoded)
    }
}

/// The one message of protocol version 1 that `bytes` hold, whole.
pub fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
    whole(bytes, false, committed).map(|decoded| decoded.message)
}

fn whole(
    bytes: Bytes,
    streaming: bool,
    kind_of: impl FnOnce(u8) -> Option<Kind>,
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::new(bytes);
    let tag = reader.u8().map_err(|why| DecodeError::Malformed { message: "empty", why })?;
    let Kind { name: message, place, body } =
        kind_of(tag).ok_or(DecodeError::UnknownMessage(Tag(tag)))?;
    let placed = match place {
        Place::Between => !streaming,
        Place::Within => streaming,
        Place::Change | Place::Anywhere => true,
    };
    if !placed {
        return Err(DecodeError::OutOfPlace { message });
    }
    let name = |fault| match fault {
        Fault::Malformed(why) => DecodeError::Malformed { message, why },
        Fault::Unknown { what, tag } => DecodeError::UnknownPart { message, what, tag: Tag(tag) },
    };
    let subtransaction = match streaming && place == Place::Change {
        true => Some(reader.u32().map_err(|why| name(why.into()))?),
        false => None,
    };
    let decoded = body(&mut reader).map_err(name)?;
    reader.end().map_err(|why| DecodeError::Malformed { message, why })?;
    Ok(Decoded { subtransaction, message: decoded })
}

fn lsn(reader: &mut Reader) -> Field<Lsn> {
    Ok(Lsn(reader.u64()?))
}

fn micros(reader: &mut Reader) -> Field<i64> {
    Ok(reader.i64()?.saturating_add(POSTGRES_EPOCH_MICROS))
}

fn begin(reader: &mut Reader) -> Field<Message> {
    Ok(Message::Begin(Begin {
        commit_lsn: lsn(reader)?,
        commit_micros: micros(reader)?,
        xid: reader.u32()?,
    }))
}

fn commit(reader: &mut Reader) -> Field<Message> {
    Ok(Message::Commit(commit_body(reader)?))
}

fn commit_body(reader: &mut Reader) -> Field<Commit> {
    no_flags(reader)?;
    Ok(Commit { commit_lsn: lsn(reader)?, end_lsn: lsn(reader)?, commit_micros: micros(reader)? })
}

/// The manual calls these flags unused: a set bit is something we do not know.
fn no_flags(reader: &mut Reader) -> Field<()> {
    match reader.u8()? {
        0 => Ok(()),
        tag => Err(Fault::Unknown { what: "flags", tag }),
    }
}

fn origin(reader: &mut Reader) -> Field<Message> {
    Ok(Message::Origin { lsn: lsn(reader)?, name: reader.string()? })
}

fn relation(reader: &mut Reader) -> Field<Message> {
    let id = reader.u32()?;
    let schema = schema(reader)?;
    let name = reader.string()?;
    let identity = identity(reader.u8()?)?;
    let count = usize::from(reader.u16()?);
    let mut columns = Vec::with_capacity(reader.room_for(count, 10));
    for _ in 0..count {
        columns.push(column(reader)?);
    }
    Ok(Message::Relation(Relation { id, schema, name, identity, columns }))
}

/// The empty string stands for `pg_catalog`.
fn schema(reader: &mut Reader) -> Field<String> {
    let name = reader.string()?;
    Ok(if name.is_empty() { "pg_catalog".to_owned() } else { name })
}

fn identity(tag: u8) -> Field<Identity> {
    match tag {
        b'd' => Ok(Identity::Default),
        b'n' => Ok(Identity::Nothing),
        b'f' => Ok(Identity::Full),
        b'i' => Ok(Identity::Index),
        tag => Err(Fault::Unknown { what: "replica identity", tag }),
    }
}

fn column(reader: &mut Reader) -> Field<Column> {
    let key = match reader.u8()? {
        0 => false,
        1 => true,
        tag => {
            return Err(Fault::Unknown { what: "column flags", tag });
        }
    };
    Ok(Column { key, name: reader.string()?, type_id: reader.u32()?, type_modifier: reader.i32()? })
}

fn type_name(reader: &mut Reader) -> Field<Message> {
    let id = reader.u32()?;
    Ok(Message::Type(TypeName { id, schema: schema(reader)?, name: reader.string()? }))
}

fn insert(reader: &mut Reader) -> Field<Message> {
    let relation = reader.u32()?;
    match reader.u8()? {
        b'N' => Ok(Message::Insert { relation, new: tuple(reader)? }),
        tag => Err(Fault::Unknown { what: "kind of row", tag }),
    }
}

fn update(reader: &mut Reader) -> Field<Message> {
    let relation = reader.u32()?;
    let (old, next) = match reader.u8()? {
        tag @ (b'K' | b'O') => (Some(old_tuple(tag, reader)?), reader.u8()?),
        tag => (None, tag),
    };
    match next {
        b'N' => Ok(Message::Update { relation, old, new: tuple(reader)? }),
        tag => Err(Fault::Unknown { what: "kind of row", tag }),
    }
}

fn delete(reader: &mut Reader) -> Field<Message> {
    let relation = reader.u32()?;
    let tag = reader.u8()?;
    Ok(Message::Delete { relation, old: old_tuple(tag, reader)? })
}

fn old_tuple(tag: u8, reader: &mut Reader) -> Field<OldTuple> {
    match tag {
        b'K' => Ok(OldTuple::Key(tuple(reader)?)),
        b'O' => Ok(OldTuple::Full(tuple(reader)?)),
        tag => Err(Fault::Unknown { what: "kind of row", tag }),
    }
}

fn tuple(reader: &mut Reader) -> Field<Tuple> {
    let count = usize::from(reader.u16()?);
    let mut values = Vec::with_capacity(reader.room_for(count, 1));
    for _ in 0..count {
        values.push(value(reader)?);
    }
    Ok(values)
}

fn value(reader: &mut Reader) -> Field<Value> {
    match reader.u8()? {
        b'n' => Ok(Value::Null),
        b'u' => Ok(Value::UnchangedToast),
        b't' => Ok(Value::Text(counted(reader)?)),
        b'b' => Ok(Value::Binary(counted(reader)?)),
        tag => Err(Fault::Unknown { what: "kind of value", tag }),
    }
}

fn counted(reader: &mut Reader) -> Field<Bytes> {
    let length = reader.u32()? as usize;
    Ok(reader.bytes(length)?)
}

fn truncate(reader: &mut Reader) -> Field<Message> {
    let count = reader.u32()? as usize;
    let options = reader.u8()?;
    if options & !0b11 != 0 {
        return Err(Fault::Unknown { what: "options", tag: options });
    }
    let mut relations = Vec::with_capacity(reader.room_for(count, 4));
    for _ in 0..count {
        relations.push(reader.u32()?);
    }
    let (cascade, restart_identity) = (options & 1 != 0, options & 2 != 0);
    Ok(Message::Truncate(Truncate { cascade, restart_identity, relations }))
}

fn logical(reader: &mut Reader) -> Field<Message> {
    let transactional = match reader.u8()? {
        0 => false,
        1 => true,
        tag => return Err(Fault::Unknown { what: "flags", tag }),
    };
    Ok(Message::Logical(LogicalMessage {
        transactional,
        lsn: lsn(reader)?,
        prefix: reader.string()?,
        content: counted(reader)?,
    }))
}

fn stream_start(reader: &mut Reader) -> Field<Message> {
    let xid = reader.u32()?;
    let first = match reader.u8()? {
        0 => false,
        1 => true,
        tag => return Err(Fault::Unknown { what: "segment flag", tag }),
    };
    Ok(Message::StreamStart { xid, first })
}

fn stream_commit(reader: &mut Reader) -> Field<Message> {
    Ok(Message::StreamCommit(StreamCommit { xid: reader.u32()?, commit: commit_body(reader)? }))
}

/// Position and time follow only with `streaming = parallel`, which Mainstay does not ask for.
fn stream_abort(reader: &mut Reader) -> Field<Message> {
    Ok(Message::StreamAbort { xid: reader.u32()?, subxid: reader.u32()? })
}

fn begin_prepare(reader: &mut Reader) -> Field<Message> {
    Ok(Message::BeginPrepare(prepare(reader)?))
}

fn flagged_prepare(reader: &mut Reader) -> Field<Prepare> {
    no_flags(reader)?;
    prepare(reader)
}

fn prepare(reader: &mut Reader) -> Field<Prepare> {
    Ok(Prepare {
        prepare_lsn: lsn(reader)?,
        end_lsn: lsn(reader)?,
        prepare_micros: micros(reader)?,
        xid: reader.u32()?,
        gid: reader.string()?,
    })
}

fn commit_prepared(reader: &mut Reader) -> Field<Message> {
    no_flags(reader)?;
    Ok(Message::CommitPrepared(CommitPrepared {
        commit_lsn: lsn(reader)?,
        end_lsn: lsn(reader)?,
        commit_micros: micros(reader)?,
        xid: reader.u32()?,
        gid: reader.string()?,
    }))
}

fn rollback_prepared(reader: &mut Reader) -> Field<Message> {
    no_flags(reader)?;
    Ok(Message::RollbackPrepared(RollbackPrepared {
        prepare_end_lsn: lsn(reader)?,
        end_lsn: lsn(reader)?,
        prepare_micros: micros(reader)?,
        rollback_micros: micros(reader)?,
        xid: reader.u32()?,
        gid: reader.string()?,
    }))
}
