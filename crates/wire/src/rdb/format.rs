//! Which snapshots and dumped values a server writes and understands.

use super::RdbError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Redis,
    /// From version 9 on. Older ones write what Redis 7.2 does.
    Valkey,
}

/// The version of a snapshot, as its first nine bytes have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub family: Family,
    pub version: u16,
}

impl Format {
    /// The length of the bytes that it is read from.
    pub(super) const LENGTH: usize = 9;
    /// Redis 5 to 6.2.
    pub const REDIS_6: Format = Format { family: Family::Redis, version: 9 };
    pub const REDIS_7_0: Format = Format { family: Family::Redis, version: 10 };
    /// Also Valkey 7.2 and 8.
    pub const REDIS_7_2: Format = Format { family: Family::Redis, version: 11 };
    /// Also Redis 8.0 and 8.2.
    pub const REDIS_7_4: Format = Format { family: Family::Redis, version: 12 };
    pub const VALKEY_9: Format = Format { family: Family::Valkey, version: 80 };

    /// Of a server, by what `INFO server` says: `valkey_version` where there is one, else
    /// `redis_version`. None for one that is not known.
    pub fn of_server(family: Family, version: &str) -> Option<Format> {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        let version = (numbers.next()??, numbers.next()??);
        Some(match (family, version) {
            (Family::Redis, (5 | 6, _)) => Self::REDIS_6,
            (Family::Redis, (7, 0 | 1)) => Self::REDIS_7_0,
            (Family::Redis, (7, 2 | 3)) | (Family::Valkey, (7 | 8, _)) => Self::REDIS_7_2,
            (Family::Redis, (7, _) | (8, 0..=2)) => Self::REDIS_7_4,
            (Family::Valkey, (9, _)) => Self::VALKEY_9,
            _ => return None,
        })
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Format, RdbError> {
        let shown = || bytes.escape_ascii().to_string();
        let (family, digits) = match bytes {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (Family::Redis, digits),
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (Family::Valkey, digits),
            _ => return Err(RdbError::NotASnapshot(shown())),
        };
        let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let number = digits.and_then(|digits| digits.parse().ok());
        match (family, number) {
            (Family::Redis, Some(version @ 5..=12)) | (Family::Valkey, Some(version @ 80)) => {
                Ok(Format { family, version })
            }
            (_, Some(_)) => Err(RdbError::UnknownVersion(shown())),
            (_, None) => Err(RdbError::NotASnapshot(shown())),
        }
    }

    /// Whether a stream remembers how many entries it ever had, and groups how many they read.
    pub(super) fn counts_entries(self) -> bool {
        self.family == Family::Valkey || self.version >= Self::REDIS_7_0.version
    }

    /// Whether fields of a hash can expire.
    pub(super) fn expires_fields(self) -> bool {
        self.family == Family::Valkey || self.version >= Self::REDIS_7_4.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_from_a_snapshot_and_known_from_a_version() {
        assert_eq!(Format::read(b"REDIS0009"), Ok(Format::REDIS_6));
        assert_eq!(Format::read(b"VALKEY080"), Ok(Format::VALKEY_9));
        assert!(matches!(Format::read(b"REDIS0080"), Err(RdbError::UnknownVersion(_))));
        assert!(matches!(Format::read(b"VALKEY012"), Err(RdbError::UnknownVersion(_))));
        assert!(matches!(Format::read(b"REDIS+012"), Err(RdbError::NotASnapshot(_))));
        assert!(matches!(Format::read(b"-ERR nope"), Err(RdbError::NotASnapshot(_))));
        assert_eq!(Format::of_server(Family::Redis, "6.2.14"), Some(Format::REDIS_6));
        assert_eq!(Format::of_server(Family::Redis, "7.0.15"), Some(Format::REDIS_7_0));
        assert_eq!(Format::of_server(Family::Valkey, "8.1.0"), Some(Format::REDIS_7_2));
        assert_eq!(Format::of_server(Family::Valkey, "9.1.2"), Some(Format::VALKEY_9));
        assert_eq!(Format::of_server(Family::Redis, "2.8.0"), None);
        assert_eq!(Format::of_server(Family::Redis, "new"), None);
    }
}
