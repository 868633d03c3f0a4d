//! Strings that pack many elements.

mod intset;
mod listpack;
mod ziplist;
mod zipmap;

pub(super) use intset::intset;
pub(super) use listpack::listpack;
pub(super) use ziplist::ziplist;
pub(super) use zipmap::zipmap;

use super::error::RdbError;
use crate::reader::{Malformed, Reader};
use bytes::Bytes;

impl From<Malformed> for RdbError {
    fn from(_: Malformed) -> Self {
        RdbError::Damaged("a packed value ends early")
    }
}

/// An integer of `length` bytes, the lowest first, as its decimal text.
fn integer(from: &mut Reader, length: usize) -> Result<Bytes, RdbError> {
    let bytes = from.bytes(length)?;
    let negative = bytes.last().is_some_and(|high| high & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..length].copy_from_slice(&bytes);
    Ok(decimal(i64::from_le_bytes(wide)))
}

fn decimal(number: i64) -> Bytes {
    number.to_string().into()
}

/// A count of four bytes, the lowest first.
fn count(from: &mut Reader) -> Result<usize, RdbError> {
    Ok(from.u32()?.swap_bytes() as usize)
}
