//! The envelope of the replication stream: data, keepalives, and what the receiver answers.

use super::{DecodeError, POSTGRES_EPOCH_MICROS, Tag};
use crate::reader::{Malformed, Reader};
use bytes::{BufMut, Bytes, BytesMut};
use mainstay_core::position::Lsn;

/// What the source sends inside `CopyData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    XLogData {
        start: Lsn,
        end: Lsn,
        /// The source's clock: microseconds since the Unix epoch.
        clock_micros: i64,
        data: Bytes,
    },
    Keepalive {
        /// How far the source has decoded and sent: nothing before it is still to come, unless a
        /// transaction is just being sent.
        end: Lsn,
        clock_micros: i64,
        reply: bool,
    },
}

pub fn decode_stream(bytes: Bytes) -> Result<StreamMessage, DecodeError> {
    let mut reader = Reader::new(bytes);
    let tag = reader.u8().map_err(|why| DecodeError::Malformed { message: "empty", why })?;
    match tag {
        b'w' => xlog_data(&mut reader)
            .map_err(|why| DecodeError::Malformed { message: "XLogData", why }),
        b'k' => keepalive(&mut reader)
            .map_err(|why| DecodeError::Malformed { message: "keepalive", why }),
        other => Err(DecodeError::UnknownMessage(Tag(other))),
    }
}

fn xlog_data(reader: &mut Reader) -> Result<StreamMessage, Malformed> {
    Ok(StreamMessage::XLogData {
        start: Lsn(reader.u64()?),
        end: Lsn(reader.u64()?),
        clock_micros: reader.i64()?.saturating_add(POSTGRES_EPOCH_MICROS),
        data: reader.rest(),
    })
}

fn keepalive(reader: &mut Reader) -> Result<StreamMessage, Malformed> {
    let message = StreamMessage::Keepalive {
        end: Lsn(reader.u64()?),
        clock_micros: reader.i64()?.saturating_add(POSTGRES_EPOCH_MICROS),
        reply: reader.u8()? != 0,
    };
    reader.end()?;
    Ok(message)
}

/// What the receiver tells the source. The source may discard everything before `flushed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusUpdate {
    pub written: Lsn,
    pub flushed: Lsn,
    pub applied: Lsn,
    /// The receiver's clock: microseconds since the Unix epoch. Shown by the source, not used.
    pub clock_micros: i64,
    /// Ask the source for a keepalive at once.
    pub reply: bool,
}

impl StatusUpdate {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(34);
        out.put_u8(b'r');
        out.put_u64(self.written.0);
        out.put_u64(self.flushed.0);
        out.put_u64(self.applied.0);
        out.put_i64(self.clock_micros.saturating_sub(POSTGRES_EPOCH_MICROS));
        out.put_u8(u8::from(self.reply));
        out.freeze()
    }
}
