//! Ziplists, which Redis wrote before 7.0 (Redis source, `ziplist.c`).

use super::{count, decimal, integer};
use crate::rdb::error::RdbError;
use crate::reader::Reader;
use bytes::Bytes;

/// The elements; integers as text.
pub(in crate::rdb) fn ziplist(packed: Bytes) -> Result<Vec<Bytes>, RdbError> {
    let length = packed.len();
    let mut from = Reader::new(packed);
    if count(&mut from)? != length {
        return Err(RdbError::Damaged("a ziplist of another length than it says"));
    }
    // Where the last element begins, of no use here.
    count(&mut from)?;
    // The number of elements, or 65535 for too many to tell.
    let told = from.u16()?.swap_bytes();
    let mut elements = Vec::with_capacity(from.room_for(told.into(), 2));
    loop {
        // The size of the element before, for going backwards.
        match from.u8()? {
            0xff => break,
            0xfe => drop(from.bytes(4)?),
            _ => {}
        }
        elements.push(element(&mut from)?);
    }
    from.end()?;
    if told != u16::MAX && elements.len() != usize::from(told) {
        return Err(RdbError::Damaged("a ziplist of another count than it says"));
    }
    Ok(elements)
}

fn element(from: &mut Reader) -> Result<Bytes, RdbError> {
    let first = from.u8()?;
    let low = usize::from(first & 0x3f);
    match first {
        0..=0x3f => Ok(from.bytes(low)?),
        0x40..=0x7f => {
            let length = (low << 8) + usize::from(from.u8()?);
            Ok(from.bytes(length)?)
        }
        0x80 => {
            let length = from.u32()? as usize;
            Ok(from.bytes(length)?)
        }
        0xc0 => integer(from, 2),
        0xd0 => integer(from, 4),
        0xe0 => integer(from, 8),
        0xf0 => integer(from, 3),
        0xfe => integer(from, 1),
        0xf1..=0xfd => Ok(decimal(i64::from(first & 0x0f) - 1)),
        _ => Err(RdbError::Damaged("an element of a ziplist is packed in an unknown way")),
    }
}
