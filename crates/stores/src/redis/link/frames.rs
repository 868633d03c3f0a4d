//! Where the commands in a replication stream begin and end, without copying them.

use std::ops::Range;

/// What a stream has that no server sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its command stream has {0}")]
pub(super) struct Malformed(&'static str);

/// The longest line that announces a count or a length: `*18446744073709551615\r\n`.
const LONGEST_LINE: usize = 32;
/// Redis's own bounds: of arguments, and of one argument (`proto-max-bulk-len` can be raised).
const MOST_ARGUMENTS: u64 = 1 << 31;
const LONGEST_ARGUMENT: u64 = 1 << 40;

/// A command at the front of `bytes`: its length, when all of it is there. `arguments` becomes
/// where each of those that are there lies.
pub(super) fn scan(
    bytes: &[u8],
    arguments: &mut Vec<Range<usize>>,
) -> Result<Option<usize>, Malformed> {
    arguments.clear();
    let Some((count, mut at)) = number(bytes, b'*', MOST_ARGUMENTS)? else { return Ok(None) };
    for _ in 0..count {
        let Some((length, head)) = number(&bytes[at..], b'$', LONGEST_ARGUMENT)? else {
            return Ok(None);
        };
        let begin = at + head;
        let end = begin + length as usize;
        if bytes.len() < end + 2 {
            return Ok(None);
        }
        arguments.push(begin..end);
        at = end + 2;
    }
    Ok(Some(at))
}

/// The number in a line that begins with `kind`, and the line's length.
fn number(bytes: &[u8], kind: u8, most: u64) -> Result<Option<(u64, usize)>, Malformed> {
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(first) = line.first() else { return Ok(None) };
    if *first != kind {
        return Err(Malformed("something else where a command or an argument should begin"));
    }
    let mut number = 0u64;
    for (at, byte) in line.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' => {
                number = number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))
            }
            b'\r' if at > 1 && number <= most => {
                return Ok((line.len() > at + 1).then_some((number, at + 2)));
            }
            _ => return Err(Malformed("a length that is none")),
        }
    }
    if line.len() == LONGEST_LINE { Err(Malformed("a length without an end")) } else { Ok(None) }
}

/// A command that is too large to be kept, as its bytes come by.
#[derive(Debug)]
pub(super) struct Passing {
    /// None until the line that tells it.
    arguments_left: Option<u64>,
    /// Of the argument under way, with its line end.
    bytes_left: u64,
}

impl Passing {
    pub fn begin() -> Self {
        Self { arguments_left: None, bytes_left: 0 }
    }

    /// How many bytes of `bytes` belong to the command, and whether it ends there.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        loop {
            let take = self.bytes_left.min((bytes.len() - at) as u64);
            self.bytes_left -= take;
            at += take as usize;
            if self.bytes_left > 0 {
                return Ok((at, false));
            }
            let rest = &bytes[at..];
            let head = match self.arguments_left {
                Some(0) => return Ok((at, true)),
                Some(_) => number(rest, b'$', LONGEST_ARGUMENT)?,
                None => number(rest, b'*', MOST_ARGUMENTS)?,
            };
            let Some((number, length)) = head else { return Ok((at, false)) };
            at += length;
            match &mut self.arguments_left {
                Some(left) => {
                    *left -= 1;
                    self.bytes_left = number + 2;
                }
                none => *none = Some(number),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::reply;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn commands_are_found_whole_wherever_the_stream_is_cut(
            commands in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 1..5), 1..6),
            cut in 1usize..40,
        ) {
            let mut stream = Vec::new();
            commands.iter().for_each(|command| reply::encode(&mut stream, command));
            let (mut at, mut arguments) = (0, Vec::new());
            for command in &commands {
                let rest = &stream[at..];
                let length = scan(rest, &mut arguments).expect("well-formed").expect("whole");
                let read: Vec<_> = arguments.iter().map(|a| rest[a.clone()].to_vec()).collect();
                prop_assert_eq!(&read, command);
                prop_assert_eq!(scan(&rest[..length - 1], &mut arguments), Ok(None));

                let (mut passing, mut passed, mut end) = (Passing::begin(), 0, false);
                for chunk in (1..).map(|n| rest.len().min(n * cut)) {
                    let (taken, ended) = passing.advance(&rest[passed..chunk]).expect("well-formed");
                    passed += taken;
                    end = ended;
                    if end { break; }
                }
                prop_assert!(end);
                prop_assert_eq!(passed, length);
                at += length;
            }
            prop_assert_eq!(at, stream.len());
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut arguments = Vec::new();
            if let Ok(Some(length)) = scan(&bytes, &mut arguments) {
                prop_assert!(length <= bytes.len());
            }
            if let Ok((taken, _)) = Passing::begin().advance(&bytes) {
                prop_assert!(taken <= bytes.len());
            }
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for bytes in ["PING\r\n", "*x\r\n", "*1\r\n+OK\r\n", "*1\r\n$-1\r\n", "*\r\n"] {
            assert!(scan(bytes.as_bytes(), &mut Vec::new()).is_err(), "{bytes:?}");
        }
        let endless = format!("*{}", "1".repeat(40));
        assert!(scan(endless.as_bytes(), &mut Vec::new()).is_err());
    }
}
