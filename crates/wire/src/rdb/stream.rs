//! The nodes that hold a stream's entries (Redis source, `t_stream.c`): a listpack with the names
//! of the first entry's fields, which later entries of the same names leave out.

use super::error::RdbError;
use super::packed::listpack;
use super::part::{StreamEntry, StreamId};
use bytes::Bytes;

const DELETED: u64 = 1;
const SAME_FIELDS: u64 = 2;

/// The 16 bytes of an ID in a snapshot.
pub(super) fn id(bytes: &[u8]) -> Result<StreamId, RdbError> {
    let (halves, rest) = bytes.as_chunks::<8>();
    match (halves, rest) {
        ([milliseconds, sequence], []) => Ok(StreamId {
            milliseconds: u64::from_be_bytes(*milliseconds),
            sequence: u64::from_be_bytes(*sequence),
        }),
        _ => Err(RdbError::Damaged("an ID of a stream is not of 16 bytes")),
    }
}

/// The entries of a node that were not deleted. Their IDs are told as differences to `base`.
pub(super) fn entries(base: StreamId, node: Bytes) -> Result<Vec<StreamEntry>, RdbError> {
    let mut from = Elements(listpack(node)?.into_iter());
    let (there, deleted) = (from.number()?, from.number()?);
    let names = from.number()?;
    let names = from.some(names)?;
    // The end of the first, which is no entry itself.
    from.number()?;
    let mut entries = Vec::new();
    for _ in 0..there.checked_add(deleted).ok_or(BAD)? {
        let flags = from.number()?;
        // An ID is one number of two halves only for its order: each half is added by itself.
        let id = StreamId {
            milliseconds: base.milliseconds.wrapping_add(from.number()?),
            sequence: base.sequence.wrapping_add(from.number()?),
        };
        let fields = if flags & SAME_FIELDS == 0 {
            let count = from.number()?;
            from.some(count.checked_mul(2).ok_or(BAD)?)?
        } else {
            let values = from.some(names.len() as u64)?;
            names.iter().cloned().zip(values).flat_map(|(name, value)| [name, value]).collect()
        };
        // How many elements this entry has, for going backwards.
        from.number()?;
        if flags & DELETED == 0 {
            entries.push(StreamEntry { id, fields });
        }
    }
    match from.0.next() {
        None => Ok(entries),
        Some(_) => Err(BAD),
    }
}

const BAD: RdbError = RdbError::Damaged("a stream's entries do not fit together");

struct Elements(std::vec::IntoIter<Bytes>);

impl Elements {
    /// Differences are signed, so that one of a sequence can be negative.
    fn number(&mut self) -> Result<u64, RdbError> {
        let text = self.0.next().ok_or(BAD)?;
        let number: Option<i64> = std::str::from_utf8(&text).ok().and_then(|it| it.parse().ok());
        Ok(number.ok_or(BAD)?.cast_unsigned())
    }

    fn some(&mut self, count: u64) -> Result<Vec<Bytes>, RdbError> {
        match usize::try_from(count) {
            Ok(count) if count <= self.0.len() => Ok(self.0.by_ref().take(count).collect()),
            _ => Err(BAD),
        }
    }
}
