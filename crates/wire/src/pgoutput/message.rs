//! What `pgoutput` says.

use bytes::Bytes;
use mainstay_core::position::Lsn;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Begin(Begin),
    Commit(Commit),
    /// The transaction came to the source by replication from elsewhere.
    Origin {
        lsn: Lsn,
        name: String,
    },
    Relation(Relation),
    Type(TypeName),
    Insert {
        relation: u32,
        new: Tuple,
    },
    /// Without `old` the row is found by the replica identity's columns of `new`.
    Update {
        relation: u32,
        old: Option<OldTuple>,
        new: Tuple,
    },
    Delete {
        relation: u32,
        old: OldTuple,
    },
    Truncate(Truncate),
    /// Written by `pg_logical_emit_message`.
    Logical(LogicalMessage),
    /// A block of changes of a transaction in progress begins (protocol version 2).
    StreamStart {
        xid: u32,
        /// The first block of this transaction.
        first: bool,
    },
    StreamStop,
    /// The streamed transaction is committed.
    StreamCommit(StreamCommit),
    /// The streamed transaction, or with another `subxid` than `xid` only that subtransaction of
    /// it, was rolled back: its changes never happened.
    StreamAbort {
        xid: u32,
        subxid: u32,
    },
    /// The changes of a prepared transaction follow (protocol version 3).
    BeginPrepare(Prepare),
    /// `PREPARE TRANSACTION`, after the changes.
    Prepare(Prepare),
    CommitPrepared(CommitPrepared),
    RollbackPrepared(RollbackPrepared),
    /// The streamed transaction was prepared.
    StreamPrepare(Prepare),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Where the commit record begins.
    pub commit_lsn: Lsn,
    /// Microseconds since the Unix epoch, on the source's clock.
    pub commit_micros: i64,
    pub xid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub commit_lsn: Lsn,
    /// Where the commit record ends: the position once this transaction is applied.
    pub end_lsn: Lsn,
    /// Microseconds since the Unix epoch, on the source's clock.
    pub commit_micros: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCommit {
    pub xid: u32,
    pub commit: Commit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    pub prepare_lsn: Lsn,
    /// Where the prepare record ends.
    pub end_lsn: Lsn,
    /// Microseconds since the Unix epoch, on the source's clock.
    pub prepare_micros: i64,
    pub xid: u32,
    /// The name that the transaction was prepared under.
    pub gid: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPrepared {
    pub commit_lsn: Lsn,
    /// Where the commit record ends.
    pub end_lsn: Lsn,
    /// Microseconds since the Unix epoch, on the source's clock.
    pub commit_micros: i64,
    pub xid: u32,
    pub gid: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPrepared {
    /// Where the prepare record ended: tells whether the receiver has seen the prepare.
    pub prepare_end_lsn: Lsn,
    /// Where the rollback record ends.
    pub end_lsn: Lsn,
    /// Microseconds since the Unix epoch, on the source's clock.
    pub prepare_micros: i64,
    pub rollback_micros: i64,
    pub xid: u32,
    pub gid: String,
}

/// A table as it was when the following changes were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub id: u32,
    pub schema: String,
    pub name: String,
    pub identity: Identity,
    pub columns: Vec<Column>,
}

/// What an old row is known by (`ALTER TABLE ... REPLICA IDENTITY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The primary key, if there is one.
    Default,
    Nothing,
    Full,
    Index,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Part of the replica identity.
    pub key: bool,
    pub name: String,
    pub type_id: u32,
    pub type_modifier: i32,
}

/// The name of a type that is not built in. For a domain it is its base type's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    pub id: u32,
    pub schema: String,
    pub name: String,
}

pub type Tuple = Vec<Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    /// A value stored out of line that the change left as it was; it is not sent.
    UnchangedToast,
    Text(Bytes),
    Binary(Bytes),
}

impl Value {
    /// Bytes of memory that this value holds.
    pub fn size(&self) -> usize {
        match self {
            Value::Null | Value::UnchangedToast => 0,
            Value::Text(bytes) | Value::Binary(bytes) => bytes.len(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Only the columns of the replica identity have values; the others are null.
    Key(Tuple),
    /// Replica identity full: the whole old row.
    Full(Tuple),
}

impl OldTuple {
    pub fn tuple(&self) -> &Tuple {
        match self {
            OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    pub cascade: bool,
    pub restart_identity: bool,
    pub relations: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalMessage {
    pub transactional: bool,
    pub lsn: Lsn,
    pub prefix: String,
    pub content: Bytes,
}

impl Message {
    /// Bytes of row values that this message holds, for bounds on memory.
    pub fn size(&self) -> usize {
        let of = |tuple: &Tuple| {
            tuple.iter().map(Value::size).sum::<usize>() + tuple.len() * size_of::<Value>()
        };
        size_of::<Message>()
            + match self {
                Message::Insert { new, .. } => of(new),
                Message::Update { old, new, .. } => {
                    of(new) + old.as_ref().map_or(0, |old| of(old.tuple()))
                }
                Message::Delete { old, .. } => of(old.tuple()),
                Message::Logical(message) => message.content.len(),
                _ => 0,
            }
    }
}
