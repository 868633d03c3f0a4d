//! How far a link's target has durably applied its source.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A place in a store's history of changes. Positions of different kinds of store have no order
/// between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "at", rename_all = "kebab-case")]
pub enum Position {
    Postgres(Lsn),
    Redis(ReplicationOffset),
}

impl Position {
    /// None for a position of another kind of store.
    pub fn lsn(self) -> Option<Lsn> {
        match self {
            Position::Postgres(lsn) => Some(lsn),
            Position::Redis(_) => None,
        }
    }
}

impl Position {
    /// How much history lies between; 0 where `end` comes first, none where they have no order.
    pub fn bytes_to(self, end: Position) -> Option<u64> {
        match (self, end) {
            (Position::Postgres(from), Position::Postgres(end)) => {
                Some(end.0.saturating_sub(from.0))
            }
            (Position::Redis(from), Position::Redis(end)) => {
                (from.history == end.history).then(|| end.offset.saturating_sub(from.offset))
            }
            _ => None,
        }
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Position::Postgres(a), Position::Postgres(b)) => Some(a.cmp(b)),
            (Position::Redis(a), Position::Redis(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Postgres(lsn) => lsn.fmt(f),
            Position::Redis(offset) => offset.fmt(f),
        }
    }
}

/// A position as people read it (`16/B374D848`, `3f0a…:1234`), for what is told of one store, whose
/// kind is known.
pub mod text {
    use super::{Lsn, Position, ReplicationOffset};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(position: &Position, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(position)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Position, D::Error> {
        let text = String::deserialize(from)?;
        if let Some((history, offset)) = text.split_once(':') {
            let history = history.parse().map_err(Error::custom)?;
            let offset = offset.parse().map_err(Error::custom)?;
            return Ok(Position::Redis(ReplicationOffset { history, offset }));
        }
        text.parse::<Lsn>().map(Position::Postgres).map_err(Error::custom)
    }
}

/// A place in the command stream of a Redis server: bytes since its history began (Redis,
/// "Replication": replication ID and offset). Offsets of different histories have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplicationOffset {
    pub history: ReplicationId,
    pub offset: u64,
}

impl PartialOrd for ReplicationOffset {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self.history == other.history).then(|| self.offset.cmp(&other.offset))
    }
}

impl fmt::Display for ReplicationOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.history, self.offset)
    }
}

/// Names one history of a Redis server: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplicationId([u8; 20]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Redis replication ID of 40 hexadecimal digits")]
pub struct BadReplicationId(String);

impl fmt::Display for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReplicationId {
    type Err = BadReplicationId;

    fn from_str(text: &str) -> Result<Self, BadReplicationId> {
        let bad = || BadReplicationId(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad());
        }
        let mut id = [0; 20];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(ReplicationId(id))
    }
}

impl TryFrom<String> for ReplicationId {
    type Error = BadReplicationId;
    fn try_from(text: String) -> Result<Self, BadReplicationId> {
        text.parse()
    }
}

impl From<ReplicationId> for String {
    fn from(id: ReplicationId) -> String {
        id.to_string()
    }
}

/// A PostgreSQL log sequence number: a byte address in the write-ahead log, written as two
/// hexadecimal halves (`16/B374D848`; PostgreSQL manual, "pg_lsn Type").
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a PostgreSQL log sequence number such as 16/B374D848")]
pub struct BadLsn(String);

impl FromStr for Lsn {
    type Err = BadLsn;

    fn from_str(text: &str) -> Result<Self, BadLsn> {
        let bad = || BadLsn(text.to_owned());
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        let half = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| bad());
        Ok(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

impl TryFrom<String> for Lsn {
    type Error = BadLsn;
    fn try_from(text: String) -> Result<Self, BadLsn> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> String {
        lsn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replication_id_reads_back_as_it_is_written() {
        let id = "3f0a9c5be2d1478860f1c2b3a4d5e6f708192a3b";
        assert_eq!(id.parse::<ReplicationId>().map(|id| id.to_string()).as_deref(), Ok(id));
        for text in ["", "?", "3f0a", &id[1..], &id.replace('f', "g")] {
            assert!(text.parse::<ReplicationId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_position_reads_back_from_its_text() {
        use serde::de::{IntoDeserializer, value::Error};
        let read =
            |text: &str| text::deserialize(IntoDeserializer::<Error>::into_deserializer(text));
        let redis = "3f0a9c5be2d1478860f1c2b3a4d5e6f708192a3b:17";
        for text in [redis, "16/B374D848"] {
            assert_eq!(read(text).map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in ["17", ":17", "3f:17", &redis[..41]] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_of_two_histories_have_no_order() {
        let at = |id: char, offset| {
            let history = id.to_string().repeat(40).parse().expect("an ID");
            Position::Redis(ReplicationOffset { history, offset })
        };
        assert!(at('a', 5) < at('a', 6));
        assert_eq!(at('a', 5).partial_cmp(&at('b', 6)), None);
        assert_eq!(at('a', 5).partial_cmp(&Position::Postgres(Lsn(6))), None);
    }

    #[test]
    fn an_lsn_reads_back_as_it_is_written() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().map(|lsn| lsn.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "16", "16/", "/1", "1/1FFFFFFFF", "g/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
