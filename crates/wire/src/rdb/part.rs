//! A value in parts, for rebuilding it by commands.

use bytes::Bytes;
use std::fmt;

/// Some of a value. Together and in their order they are all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Of a string.
    Text(Bytes),
    /// Of a list.
    Elements(Vec<Bytes>),
    /// Of a set.
    Members(Vec<Bytes>),
    /// Of a sorted set.
    Scored(Vec<Scored>),
    /// Of a hash.
    Fields(Vec<HashField>),
    /// Of a stream. Its state and then its groups follow.
    Entries(Vec<StreamEntry>),
    State(StreamState),
    /// How many entries a group read is not known to older servers, or at all.
    Group {
        name: Bytes,
        last: StreamId,
        read: Option<u64>,
    },
    Consumer {
        group: Bytes,
        name: Bytes,
    },
    Pending {
        group: Bytes,
        consumer: Bytes,
        entries: Vec<Pending>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scored {
    /// As a command takes it.
    pub score: Bytes,
    pub member: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashField {
    pub name: Bytes,
    pub value: Bytes,
    /// Milliseconds since 1970.
    pub expires_at: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    pub milliseconds: u64,
    pub sequence: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    pub id: StreamId,
    /// Names and values in turn.
    pub fields: Vec<Bytes>,
}

/// What a stream remembers beside its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    pub length: u64,
    pub last: StreamId,
    /// The greatest ID deleted and how many entries there ever were, where the source knows them.
    pub history: Option<(StreamId, u64)>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub id: StreamId,
    /// Milliseconds since 1970.
    pub delivered_at: u64,
    pub deliveries: u64,
}
