//! Listpacks (Redis source, `listpack.c`).

use super::{count, decimal, integer};
use crate::rdb::error::RdbError;
use crate::reader::Reader;
use bytes::Bytes;

/// The elements; integers as text.
pub(in crate::rdb) fn listpack(packed: Bytes) -> Result<Vec<Bytes>, RdbError> {
    let length = packed.len();
    let mut from = Reader::new(packed);
    if count(&mut from)? != length {
        return Err(RdbError::Damaged("a listpack of another length than it says"));
    }
    // The number of elements, or 65535 for too many to tell.
    let told = from.u16()?.swap_bytes();
    let mut elements = Vec::with_capacity(from.room_for(told.into(), 2));
    loop {
        let first = from.u8()?;
        if first == 0xff {
            break;
        }
        let (element, size) = element(first, &mut from)?;
        elements.push(element);
        from.bytes(length_of_length(size))?;
    }
    from.end()?;
    if told != u16::MAX && elements.len() != usize::from(told) {
        return Err(RdbError::Damaged("a listpack of another count than it says"));
    }
    Ok(elements)
}

/// The element, and the size of it with its first bytes.
fn element(first: u8, from: &mut Reader) -> Result<(Bytes, usize), RdbError> {
    let text = |from: &mut Reader, head: usize, length: usize| {
        Ok::<_, RdbError>((from.bytes(length)?, head + length))
    };
    let low = usize::from(first & 0x0f);
    match first {
        0..=0x7f => Ok((decimal(first.into()), 1)),
        0x80..=0xbf => text(from, 1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let number = (i64::from(first & 0x1f) << 8) + i64::from(from.u8()?);
            Ok((decimal(if number < 4096 { number } else { number - 8192 }), 2))
        }
        0xe0..=0xef => {
            let length = (low << 8) + usize::from(from.u8()?);
            text(from, 2, length)
        }
        0xf0 => {
            let length = count(from)?;
            text(from, 5, length)
        }
        0xf1 => Ok((integer(from, 2)?, 3)),
        0xf2 => Ok((integer(from, 3)?, 4)),
        0xf3 => Ok((integer(from, 4)?, 5)),
        0xf4 => Ok((integer(from, 8)?, 9)),
        _ => Err(RdbError::Damaged("an element of a listpack is packed in an unknown way")),
    }
}

/// After each element stands its size, for going backwards; this says in how many bytes.
fn length_of_length(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}
