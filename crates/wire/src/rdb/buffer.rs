//! Bytes that arrived and the place in them: each read takes all it needs, or nothing.

use super::error::{Halt, RdbError, Step};
use super::text::{MAX_STRING, Text};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: BytesMut,
    /// How far the bytes were read.
    at: usize,
}

/// What stands where a length can: a length, or how a string is packed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    Packed(u8),
}

impl Buffer {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Back to a place that was read before.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// Everything read so far, removed from the buffer. Ranges begin anew.
    pub(super) fn split(&mut self) -> Bytes {
        self.bytes.split_to(std::mem::take(&mut self.at)).freeze()
    }

    /// Everything that was not read.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).freeze().slice(std::mem::take(&mut self.at)..)
    }

    /// All that is there, read or not.
    pub(super) fn fed(&self) -> usize {
        self.bytes.len()
    }

    fn unread(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn get(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize) -> Step<Range<usize>> {
        if self.unread() < length {
            return Err(Halt::Short);
        }
        let range = self.at..self.at + length;
        self.at += length;
        Ok(range)
    }

    /// At most `most` bytes, and at least one.
    pub(super) fn take_some(&mut self, most: usize) -> Step<Range<usize>> {
        match self.unread().min(most) {
            0 => Err(Halt::Short),
            length => self.take(length),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let range = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(self.get(range));
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Step<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// `f` as one step: when it stops short, nothing of it was read.
    pub(super) fn whole<T>(&mut self, f: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        let before = self.at;
        let result = f(self);
        if matches!(result, Err(Halt::Short)) {
            self.at = before;
        }
        result
    }

    pub(super) fn length(&mut self) -> Step<Length> {
        self.whole(|it| {
            let first = it.u8()?;
            let low = first & 0x3f;
            Ok(match (first >> 6, first) {
                (0, _) => Length::Plain(u64::from(low)),
                (1, _) => Length::Plain(u64::from(u16::from_be_bytes([low, it.u8()?]))),
                (_, 0x80) => Length::Plain(u64::from(u32::from_be_bytes(it.array()?))),
                (_, 0x81) => Length::Plain(u64::from_be_bytes(it.array()?)),
                (3, _) => Length::Packed(low),
                _ => return Err(RdbError::Damaged("a length that is none").into()),
            })
        })
    }

    pub(super) fn number(&mut self) -> Step<u64> {
        match self.length()? {
            Length::Plain(number) => Ok(number),
            Length::Packed(_) => Err(RdbError::Damaged("a string where a number stands").into()),
        }
    }

    /// A length of something that is to be in memory.
    fn size(&mut self) -> Step<usize> {
        checked_size(self.number()?)
    }

    /// What stands before the bytes of a string.
    pub(super) fn text_head(&mut self) -> Step<TextHead> {
        self.whole(|it| {
            Ok(match it.length()? {
                Length::Plain(length) => TextHead::Raw(checked_size(length)?),
                Length::Packed(0) => TextHead::Int(i8::from_le_bytes(it.array()?).into()),
                Length::Packed(1) => TextHead::Int(i16::from_le_bytes(it.array()?).into()),
                Length::Packed(2) => TextHead::Int(i32::from_le_bytes(it.array()?)),
                Length::Packed(3) => TextHead::Lzf { packed: it.size()?, length: it.size()? },
                Length::Packed(_) => {
                    return Err(RdbError::Damaged("a string packed in an unknown way").into());
                }
            })
        })
    }

    /// A whole string, still packed.
    pub(super) fn text(&mut self) -> Step<Text> {
        self.whole(|it| {
            Ok(match it.text_head()? {
                TextHead::Raw(length) => Text::Raw(it.take(length)?),
                TextHead::Int(number) => Text::Int(number),
                TextHead::Lzf { packed, length } => Text::Lzf { data: it.take(packed)?, length },
            })
        })
    }
}

/// How the bytes of a string that follow are packed.
#[derive(Debug)]
pub(super) enum TextHead {
    Raw(usize),
    Int(i32),
    Lzf { packed: usize, length: usize },
}

fn checked_size(length: u64) -> Step<usize> {
    match usize::try_from(length) {
        Ok(size) if size <= MAX_STRING => Ok(size),
        _ => Err(RdbError::TooLong(length).into()),
    }
}
