//! Hashes as Redis wrote them before 2.6, which a server still reads (Redis source, `zipmap.c`).

use super::count;
use crate::rdb::error::RdbError;
use crate::reader::Reader;
use bytes::Bytes;

/// Names and values in turn.
pub(in crate::rdb) fn zipmap(packed: Bytes) -> Result<Vec<Bytes>, RdbError> {
    let mut from = Reader::new(packed);
    // The number of pairs, which is not told from 254 on.
    from.u8()?;
    let mut elements = Vec::new();
    while let Some(length) = length(&mut from)? {
        elements.push(from.bytes(length)?);
        let length = self::length(&mut from)?;
        let length = length.ok_or(RdbError::Damaged("a name without a value"))?;
        let unused = from.u8()?;
        elements.push(from.bytes(length)?);
        from.bytes(unused.into())?;
    }
    from.end()?;
    Ok(elements)
}

/// None at the end.
fn length(from: &mut Reader) -> Result<Option<usize>, RdbError> {
    Ok(match from.u8()? {
        0xff => None,
        0xfe => Some(count(from)?),
        length => Some(length.into()),
    })
}
