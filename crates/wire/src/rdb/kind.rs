//! The types of values, by the byte that stands before each (Redis source, `rdb.h`).

use super::error::RdbError;
use super::format::{Family, Format};

/// A type in one of its encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    List,
    ListZiplist,
    ListQuicklist,
    ListQuicklist2,
    Set,
    SetIntset,
    SetListpack,
    /// Scores as text.
    SortedSet,
    /// Scores as binary doubles.
    SortedSet2,
    SortedSetZiplist,
    SortedSetListpack,
    Hash,
    HashZipmap,
    HashZiplist,
    HashListpack,
    /// Valkey's, with a time of expiry after each value.
    HashExpiring,
    /// Redis's, with the time left after the earliest expiry before each field.
    HashMetadata,
    /// Redis's, of name, value and time of expiry.
    HashListpackExpiring,
    Stream,
    Stream2,
    Stream3,
}

impl Kind {
    /// What the byte means in a snapshot of that format. A value of a module (6 and 7) is judged
    /// by the reader, which can tell its name.
    pub(super) fn of(byte: u8, format: Format) -> Result<Kind, RdbError> {
        Ok(match (byte, format.family) {
            (0, _) => Kind::String,
            (1, _) => Kind::List,
            (2, _) => Kind::Set,
            (3, _) => Kind::SortedSet,
            (4, _) => Kind::Hash,
            (5, _) => Kind::SortedSet2,
            (9, _) => Kind::HashZipmap,
            (10, _) => Kind::ListZiplist,
            (11, _) => Kind::SetIntset,
            (12, _) => Kind::SortedSetZiplist,
            (13, _) => Kind::HashZiplist,
            (14, _) => Kind::ListQuicklist,
            (15, _) => Kind::Stream,
            (16, _) => Kind::HashListpack,
            (17, _) => Kind::SortedSetListpack,
            (18, _) => Kind::ListQuicklist2,
            (19, _) => Kind::Stream2,
            (20, _) => Kind::SetListpack,
            (21, _) => Kind::Stream3,
            (22, Family::Valkey) => Kind::HashExpiring,
            (22 | 23, Family::Redis) => {
                return Err(RdbError::Refused("a hash of a preview release of Redis 7.4"));
            }
            (24, Family::Redis) => Kind::HashMetadata,
            (25, Family::Redis) => Kind::HashListpackExpiring,
            (unknown, _) => return Err(RdbError::UnknownType(unknown)),
        })
    }

    /// The byte that stands for it.
    pub(super) fn byte(self) -> u8 {
        match self {
            Kind::String => 0,
            Kind::List => 1,
            Kind::Set => 2,
            Kind::SortedSet => 3,
            Kind::Hash => 4,
            Kind::SortedSet2 => 5,
            Kind::HashZipmap => 9,
            Kind::ListZiplist => 10,
            Kind::SetIntset => 11,
            Kind::SortedSetZiplist => 12,
            Kind::HashZiplist => 13,
            Kind::ListQuicklist => 14,
            Kind::Stream => 15,
            Kind::HashListpack => 16,
            Kind::SortedSetListpack => 17,
            Kind::ListQuicklist2 => 18,
            Kind::Stream2 => 19,
            Kind::SetListpack => 20,
            Kind::Stream3 => 21,
            Kind::HashExpiring => 22,
            Kind::HashMetadata => 24,
            Kind::HashListpackExpiring => 25,
        }
    }

    /// The oldest format that has it.
    pub fn since(self) -> Format {
        match self {
            Kind::HashListpack | Kind::SortedSetListpack | Kind::ListQuicklist2 | Kind::Stream2 => {
                Format::REDIS_7_0
            }
            Kind::SetListpack | Kind::Stream3 => Format::REDIS_7_2,
            Kind::HashMetadata | Kind::HashListpackExpiring => Format::REDIS_7_4,
            Kind::HashExpiring => Format::VALKEY_9,
            _ => Format::REDIS_6,
        }
    }

    /// Whether a server of that format reads it. Valkey 9 reads all that Redis 7.2 wrote.
    pub fn known_to(self, target: Format) -> bool {
        let since = self.since();
        match (since.family, target.family) {
            (Family::Redis, Family::Redis) => since.version <= target.version,
            (Family::Redis, Family::Valkey) => since.version <= Format::REDIS_7_2.version,
            (Family::Valkey, family) => family == Family::Valkey,
        }
    }
}
