//! PostgreSQL's logical replication as the plug-in `pgoutput` speaks it (PostgreSQL manual,
//! "Logical Replication Message Formats" and "Streaming Replication Protocol").
//!
//! Protocol version 1 sends whole committed transactions, in commit order; version 2 also large
//! ones in progress, in blocks; version 3 also prepared ones. Version 4 adds nothing that is sent
//! without `streaming = parallel`. What is not known, or stands where it cannot, is an error, never
//! skipped: a change that nobody understood would be a change that nobody applied.

mod decode;
mod message;
mod stream;

pub use crate::reader::Malformed;
pub use decode::{Decoded, Decoder, decode};
pub use message::{
    Begin, Column, Commit, CommitPrepared, Identity, LogicalMessage, Message, OldTuple, Prepare,
    Relation, RollbackPrepared, StreamCommit, Truncate, Tuple, TypeName, Value,
};
pub use stream::{StatusUpdate, StreamMessage, decode_stream};

/// Microseconds between the Unix epoch and PostgreSQL's, 2000-01-01 00:00 UTC.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "the source sent a message of the unknown type {0}; it may be newer than this Mainstay"
    )]
    UnknownMessage(Tag),
    #[error("the source sent a {message} message with the unknown {what} {tag}")]
    UnknownPart { message: &'static str, what: &'static str, tag: Tag },
    #[error("the source sent a damaged {message} message: {why}")]
    Malformed { message: &'static str, why: Malformed },
    #[error("the source sent a {message} message where none can stand")]
    OutOfPlace { message: &'static str },
}

/// A byte that tells what follows, shown as the letter that the manual uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u8);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' (0x{:02x})", char::from(self.0).escape_default(), self.0)
    }
}
