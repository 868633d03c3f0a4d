//! Sets of integers (Redis source, `intset.c`).

use super::{count, integer};
use crate::rdb::error::RdbError;
use crate::reader::Reader;
use bytes::Bytes;

/// The members as text.
pub(in crate::rdb) fn intset(packed: Bytes) -> Result<Vec<Bytes>, RdbError> {
    let mut from = Reader::new(packed);
    let width = count(&mut from)?;
    if !matches!(width, 2 | 4 | 8) {
        return Err(RdbError::Damaged("a set of integers of an unknown width"));
    }
    let told = count(&mut from)?;
    let mut members = Vec::with_capacity(from.room_for(told, width));
    for _ in 0..told {
        members.push(integer(&mut from, width)?);
    }
    from.end()?;
    Ok(members)
}
