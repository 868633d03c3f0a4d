//! LZF, by which Redis compresses strings (liblzf, `lzf_d.c`): runs of literal bytes, and
//! references to what was said at most 8192 bytes before.

use super::error::RdbError;

/// How far back a reference can reach.
const WINDOW: usize = 8192;
const BAD: RdbError = RdbError::Damaged("a compressed string that cannot be decompressed");

/// A compressed string that is decompressed as it arrives. It holds the window, what follows it
/// and was not taken, and at most one unit of input.
#[derive(Debug)]
pub(super) struct Lzf {
    /// Compressed bytes that have not arrived.
    packed_left: usize,
    /// Decompressed bytes that are still to come.
    left: usize,
    out: Vec<u8>,
    /// Where in `out` begins what was not taken.
    taken: usize,
    /// The begin of a unit whose end has not arrived.
    pending: Vec<u8>,
}

impl Lzf {
    pub(super) fn new(packed: usize, length: usize) -> Self {
        Self { packed_left: packed, left: length, out: vec![], taken: 0, pending: vec![] }
    }

    /// How many compressed bytes are still to come.
    pub(super) fn packed_left(&self) -> usize {
        self.packed_left
    }

    /// Decompresses what arrived, which is at most what is still to come.
    pub(super) fn feed(&mut self, packed: &[u8]) -> Result<(), RdbError> {
        self.packed_left = self.packed_left.checked_sub(packed.len()).ok_or(BAD)?;
        let joined;
        let mut input = if self.pending.is_empty() {
            packed
        } else {
            joined = [std::mem::take(&mut self.pending).as_slice(), packed].concat();
            joined.as_slice()
        };
        while let Some(length) = unit(input) {
            let (unit, rest) = input.split_at(length);
            self.unpack(unit)?;
            input = rest;
        }
        self.pending = input.to_vec();
        let ended = self.packed_left == 0;
        if ended && (self.left != 0 || !self.pending.is_empty()) {
            return Err(BAD);
        }
        Ok(())
    }

    /// What was decompressed since the last time. Only the window stays in memory.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let fresh = self.out[self.taken..].to_vec();
        let old = self.out.len().saturating_sub(WINDOW);
        self.out.drain(..old);
        self.taken = self.out.len();
        fresh
    }

    fn unpack(&mut self, unit: &[u8]) -> Result<(), RdbError> {
        let control = unit[0];
        let (length, back) = match (control >> 5, unit) {
            (0, _) => {
                self.left = self.left.checked_sub(unit.len() - 1).ok_or(BAD)?;
                self.out.extend_from_slice(&unit[1..]);
                return Ok(());
            }
            (7, [_, more, low]) => (7 + usize::from(*more), *low),
            (length, [_, low]) => (usize::from(length), *low),
            _ => return Err(BAD),
        };
        let length = length + 2;
        let back = (usize::from(control & 0x1f) << 8) + usize::from(back) + 1;
        self.left = self.left.checked_sub(length).ok_or(BAD)?;
        let from = self.out.len().checked_sub(back).ok_or(BAD)?;
        // It may reach into what it itself says: then that repeats.
        for at in from..from + length {
            self.out.push(self.out[at]);
        }
        Ok(())
    }
}

/// The length of the unit that the input begins with, if all of it is there.
fn unit(input: &[u8]) -> Option<usize> {
    let control = usize::from(*input.first()?);
    let length = match control >> 5 {
        0 => control + 2,
        7 => 3,
        _ => 2,
    };
    (input.len() >= length).then_some(length)
}

pub(super) fn decompress(packed: &[u8], length: usize) -> Result<Vec<u8>, RdbError> {
    let mut lzf = Lzf::new(packed.len(), length);
    lzf.feed(packed)?;
    if packed.is_empty() && length != 0 {
        return Err(BAD);
    }
    Ok(lzf.out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_may_overlap_itself() {
        assert_eq!(decompress(&[0, b'a', 0x60, 0], 6), Ok(b"aaaaaa".to_vec()));
        assert_eq!(decompress(&[1, b'a', b'b', 0xe0, 1, 1], 12), Ok(b"abababababab".to_vec()));
    }

    #[test]
    fn what_is_too_short_too_long_or_before_the_begin_is_an_error() {
        for (packed, length) in
            [(&[0, b'a'][..], 2), (&[0, b'a'], 0), (&[0x20, 5], 3), (&[5, b'a'], 6), (&[], 1)]
        {
            assert!(decompress(packed, length).is_err(), "{packed:?} {length}");
        }
    }

    #[test]
    fn it_is_the_same_byte_by_byte() {
        let packed = [1, b'a', b'b', 0xe0, 1, 1];
        let mut lzf = Lzf::new(packed.len(), 12);
        let mut out = Vec::new();
        for byte in packed {
            lzf.feed(&[byte]).expect("it is whole");
            out.extend(lzf.take());
        }
        assert_eq!(out, b"abababababab");
    }
}
