//! A key with its value as the source wrote it.

use super::crc::crc64;
use super::error::RdbError;
use super::format::{Family, Format};
use super::kind::Kind;
use bytes::Bytes;

/// A key and what is kept about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: Bytes,
    /// Milliseconds since 1970 (`ABSTTL`).
    pub expires_at: Option<u64>,
    /// Seconds since its last use, when the source evicts by that (`IDLETIME`).
    pub idle: Option<u64>,
    /// How often it is used, when the source evicts by that (`FREQ`).
    pub frequency: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Value,
}

/// A value in the encoding in which the source holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    pub(super) body: Bytes,
}

impl Value {
    /// How many bytes the source wrote.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// Whether `RESTORE` takes it at a server of that format; otherwise it is rebuilt.
    pub fn accepted_by(&self, target: Format) -> bool {
        self.kind.known_to(target)
    }

    /// What `DUMP` answers with.
    ///
    /// # Errors
    /// When it is damaged, or of a type that is not known.
    pub fn of_payload(payload: Bytes) -> Result<Value, RdbError> {
        let short = RdbError::Damaged("a dumped value ends early");
        let (body, checksum) = payload.split_last_chunk::<8>().ok_or(short.clone())?;
        let (stated, found) = (u64::from_le_bytes(*checksum), crc64(0, body));
        if stated != found {
            return Err(RdbError::Checksum { stated, found });
        }
        let (body, version) = body.split_last_chunk::<2>().ok_or(short.clone())?;
        let version = u16::from_le_bytes(*version);
        let newer = version >= Format::VALKEY_9.version;
        let family = if newer { Family::Valkey } else { Family::Redis };
        let (kind, body) = body.split_first().ok_or(short)?;
        let kind = Kind::of(*kind, Format { family, version })?;
        Ok(Value { kind, body: payload.slice_ref(body) })
    }

    /// What `RESTORE` takes: the value, the oldest version that has its encoding, and a checksum.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.body.len() + 11);
        payload.push(self.kind.byte());
        payload.extend_from_slice(&self.body);
        payload.extend_from_slice(&self.kind.since().version.to_le_bytes());
        payload.extend_from_slice(&crc64(0, &payload).to_le_bytes());
        payload
    }
}
