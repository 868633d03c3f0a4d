//! Strings of a snapshot: plain, as an integer, or compressed.

use super::buffer::Buffer;
use super::error::RdbError;
use super::lzf;
use bytes::Bytes;
use std::ops::Range;

/// Redis's own limit ("Strings": at most 512 MB, `proto-max-bulk-len`).
pub(super) const MAX_STRING: usize = 512 * 1024 * 1024;

/// A string as it stands in a buffer.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Raw(Range<usize>),
    Int(i32),
    Lzf { data: Range<usize>, length: usize },
}

impl Text {
    /// What the string says.
    pub(super) fn bytes(&self, buffer: &Buffer) -> Result<Bytes, RdbError> {
        match self {
            Text::Raw(range) => Ok(Bytes::copy_from_slice(buffer.get(range.clone()))),
            Text::Int(number) => Ok(number.to_string().into()),
            Text::Lzf { data, length } => {
                lzf::decompress(buffer.get(data.clone()), *length).map(Bytes::from)
            }
        }
    }
}
