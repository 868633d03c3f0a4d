//! One `pgoutput` message from its bytes.

use super::message::{
    Begin, Column, Commit, Identity, LogicalMessage, Message, OldTuple, Relation, Truncate, Tuple,
    TypeName, Value,
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

/// The one message that `bytes` hold, whole.
pub fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
    let mut reader = Reader::new(bytes);
    let tag = reader.u8().map_err(|why| DecodeError::Malformed { message: "empty", why })?;
    let (message, body): (_, fn(&mut Reader) -> Field<Message>) = match tag {
        b'B' => ("Begin", begin),
        b'C' => ("Commit", commit),
        b'O' => ("Origin", origin),
        b'R' => ("Relation", relation),
        b'Y' => ("Type", type_name),
        b'I' => ("Insert", insert),
        b'U' => ("Update", update),
        b'D' => ("Delete", delete),
        b'T' => ("Truncate", truncate),
        b'M' => ("Message", logical),
        other => return Err(DecodeError::UnknownMessage(Tag(other))),
    };
    let name = |fault| match fault {
        Fault::Malformed(why) => DecodeError::Malformed { message, why },
        Fault::Unknown { what, tag } => DecodeError::UnknownPart { message, what, tag: Tag(tag) },
    };
    let decoded = body(&mut reader).map_err(name)?;
    reader.end().map_err(|why| DecodeError::Malformed { message, why })?;
    Ok(decoded)
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
    // The manual calls the flags unused: a set bit is something we do not know.
    let flags = reader.u8()?;
    if flags != 0 {
        return Err(Fault::Unknown { what: "flags", tag: flags });
    }
    Ok(Message::Commit(Commit {
        commit_lsn: lsn(reader)?,
        end_lsn: lsn(reader)?,
        commit_micros: micros(reader)?,
    }))
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
