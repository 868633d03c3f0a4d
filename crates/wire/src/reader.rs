//! A cursor over untrusted bytes: every read is checked against what is left.

use bytes::{Buf, Bytes};

/// Reads fields in network byte order from the front of a buffer, without copying values out.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

/// What a field lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends {missing} bytes early")]
    Short { missing: usize },
    #[error("a string in it has no end")]
    Unterminated,
    #[error("a name in it is not UTF-8")]
    NotUtf8,
    #[error("{0} bytes follow its end")]
    Trailing(usize),
}

impl Reader {
    pub(crate) fn new(rest: Bytes) -> Self {
        Self { rest }
    }

    fn need(&self, wanted: usize) -> Result<(), Malformed> {
        match wanted.checked_sub(self.rest.len()) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(Malformed::Short { missing }),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.need(2)?;
        Ok(self.rest.get_u16())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.need(4)?;
        Ok(self.rest.get_u32())
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.need(4)?;
        Ok(self.rest.get_i32())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.need(8)?;
        Ok(self.rest.get_u64())
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.need(8)?;
        Ok(self.rest.get_i64())
    }

    /// The next `length` bytes, which share the memory of the message.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Bytes, Malformed> {
        self.need(length)?;
        Ok(self.rest.split_to(length))
    }

    /// A string that ends with a zero byte.
    pub(crate) fn string(&mut self) -> Result<String, Malformed> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or(Malformed::Unterminated)?;
        let text = self.rest.split_to(end);
        self.rest.advance(1);
        std::str::from_utf8(&text).map(str::to_owned).map_err(|_| Malformed::NotUtf8)
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// How many items of at least `size` bytes can still follow: a count that came from the
    /// network never reserves more than that.
    pub(crate) fn room_for(&self, count: usize, size: usize) -> usize {
        count.min(self.rest.len() / size.max(1) + 1)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Malformed::Trailing(left)),
        }
    }
}
