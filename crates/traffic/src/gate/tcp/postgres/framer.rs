//! Where messages begin and end in a stream of PostgreSQL messages, without keeping them: a type
//! byte, four bytes of length that count themselves, the rest (PostgreSQL manual, "Message
//! Formats").

/// Longer ones are refused by PostgreSQL itself (PQ_LARGE_MESSAGE_LIMIT is 1 GB less one byte).
const LONGEST: u32 = 1 << 30;
const HEADER: usize = 5;

/// The stream is not one of PostgreSQL messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message with an impossible length")]
pub struct BadFrame;

/// A message whose head has passed: its type and the first byte of what follows, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    pub first: Option<u8>,
}

#[derive(Debug, Default)]
pub struct Framer {
    header: [u8; HEADER],
    have: usize,
    /// Bytes of the message still to come after the header.
    left: u32,
    /// The header has passed and its message was not told yet.
    pending: bool,
}

impl Framer {
    /// Looks at the next bytes of the stream.
    pub fn feed(&mut self, mut bytes: &[u8], mut on: impl FnMut(Message)) -> Result<(), BadFrame> {
        while !bytes.is_empty() {
            bytes = match self.have < HEADER {
                true => self.head(bytes, &mut on)?,
                false => self.rest(bytes, &mut on),
            };
        }
        Ok(())
    }

    /// The last byte seen was the last of a message.
    pub fn at_boundary(&self) -> bool {
        self.have == 0
    }

    fn head<'a>(
        &mut self,
        bytes: &'a [u8],
        on: &mut impl FnMut(Message),
    ) -> Result<&'a [u8], BadFrame> {
        let (now, later) = bytes.split_at(bytes.len().min(HEADER - self.have));
        self.header[self.have..self.have + now.len()].copy_from_slice(now);
        self.have += now.len();
        if self.have == HEADER {
            let [kind, length @ ..] = self.header;
            let length = u32::from_be_bytes(length);
            if !(4..=LONGEST).contains(&length) {
                return Err(BadFrame);
            }
            self.left = length - 4;
            self.pending = self.left > 0;
            if self.left == 0 {
                self.have = 0;
                on(Message { kind, first: None });
            }
        }
        Ok(later)
    }

    fn rest<'a>(&mut self, bytes: &'a [u8], on: &mut impl FnMut(Message)) -> &'a [u8] {
        if std::mem::take(&mut self.pending) {
            on(Message { kind: self.header[0], first: bytes.first().copied() });
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(bytes.len().min(left));
        self.left -= u32::try_from(now.len()).unwrap_or(self.left);
        if self.left == 0 {
            self.have = 0;
        }
        later
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, body) in messages {
            bytes.push(*kind);
            bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            bytes.extend(body);
        }
        bytes
    }

    proptest! {
        #[test]
        fn messages_are_found_however_the_stream_is_cut(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..9)), 0..9),
            piece in 1usize..9,
        ) {
            let (mut framer, mut found) = (Framer::default(), Vec::new());
            for bytes in encode(&messages).chunks(piece) {
                framer.feed(bytes, |message| found.push((message.kind, message.first))).unwrap();
            }
            let expected: Vec<_> =
                messages.iter().map(|(kind, body)| (*kind, body.first().copied())).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(framer.at_boundary());
        }

        #[test]
        fn any_bytes_are_messages_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = Framer::default().feed(&bytes, |_| {});
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for length in [0u32, 3, LONGEST + 1, u32::MAX] {
            let bytes = [&b"Q"[..], &length.to_be_bytes()].concat();
            assert_eq!(Framer::default().feed(&bytes, |_| {}), Err(BadFrame), "{length}");
        }
    }

    #[test]
    fn within_a_message_there_is_no_boundary() {
        let mut framer = Framer::default();
        framer.feed(b"Z\0\0\0\x05", |_| {}).unwrap();
        assert!(!framer.at_boundary());
        framer.feed(b"I", |message| assert_eq!(message.first, Some(b'I'))).unwrap();
        assert!(framer.at_boundary());
    }
}
