//! The target's answers to transactions, read without keeping them: one can be as large as a value.

use bytes::{Buf, BytesMut};

/// What one answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Fine,
    Nil,
    Error(String),
    /// Of EXEC: the first error among the answers, and whether the last one of them is `OK`.
    Executed {
        error: Option<String>,
        ok: bool,
    },
}

/// The longest line of an answer.
const LONGEST_LINE: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Items that are still to come, of each array that is open.
    open: Vec<u64>,
    /// Bytes of a string that are still to come, with its line end.
    skip: u64,
    error: Option<String>,
    ok: bool,
}

impl Answers {
    /// The next answer, when all of it is there; what was looked at is taken from `bytes`.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Answer>, &'static str> {
        loop {
            let skip = self.skip.min(bytes.len() as u64);
            bytes.advance(skip as usize);
            self.skip -= skip;
            if self.skip > 0 {
                return Ok(None);
            }
            if let Some(answer) = self.close() {
                return Ok(Some(answer));
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                return if bytes.len() > LONGEST_LINE { Err("too long a line") } else { Ok(None) };
            };
            let line = bytes.split_to(end + 1);
            if let Some(answer) = self.line(&line)? {
                return Ok(Some(answer));
            }
        }
    }

    /// An array whose items have all come.
    fn close(&mut self) -> Option<Answer> {
        while self.open.last() == Some(&0) {
            self.open.pop();
            if self.open.is_empty() {
                let (error, ok) = (self.error.take(), std::mem::take(&mut self.ok));
                return Some(Answer::Executed { error, ok });
            }
        }
        None
    }

    /// One line; an answer when it is one by itself.
    fn line(&mut self, line: &[u8]) -> Result<Option<Answer>, &'static str> {
        let Some((kind, rest)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
            return Err("a line that is none");
        };
        let inside = !self.open.is_empty();
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
        self.ok = *kind == b'+' && rest == b"OK";
        let answer = match kind {
            b'+' | b':' => Answer::Fine,
            b'-' => Answer::Error(String::from_utf8_lossy(rest).into_owned()),
            b'$' | b'*' if rest == b"-1" => Answer::Nil,
            b'$' => {
                self.skip = length(rest)? + 2;
                Answer::Fine
            }
            b'*' => {
                self.open.push(length(rest)?);
                return Ok(None);
            }
            _ => return Err("an answer of a kind that is not known"),
        };
        match answer {
            Answer::Error(error) if inside => {
                self.error.get_or_insert(error);
                Ok(None)
            }
            _ if inside => Ok(None),
            answer => Ok(Some(answer)),
        }
    }
}

fn length(digits: &[u8]) -> Result<u64, &'static str> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok()).ok_or("a length that is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunk: usize, stream: &[u8]) -> Vec<Answer> {
        let (mut answers, mut bytes, mut read) = (Answers::default(), BytesMut::new(), Vec::new());
        for chunk in stream.chunks(chunk) {
            bytes.extend_from_slice(chunk);
            while let Some(answer) = answers.next(&mut bytes).expect("well-formed") {
                read.push(answer);
            }
        }
        read
    }

    #[test]
    fn answers_are_told_apart_wherever_they_are_cut() {
        let stream =
            b"+OK\r\n+QUEUED\r\n*3\r\n:1\r\n$3\r\n\r\n-\r\n+OK\r\n-EXECABORT no\r\n*-1\r\n\
            *2\r\n-WRONGTYPE a\r\n+FAILED\r\n*2\r\n*1\r\n-ERR b\r\n+OK\r\n$2\r\nab\r\n*0\r\n";
        let executed =
            |error: Option<&str>, ok| Answer::Executed { error: error.map(str::to_owned), ok };
        let wanted = [
            Answer::Fine,
            Answer::Fine,
            executed(None, true),
            Answer::Error("EXECABORT no".to_owned()),
            Answer::Nil,
            executed(Some("WRONGTYPE a"), false),
            executed(Some("ERR b"), true),
            Answer::Fine,
            executed(None, false),
        ];
        for chunk in [1, 2, 3, 7, 1000] {
            assert_eq!(all(chunk, stream), wanted, "{chunk}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bytes in ["OK\r\n", "\r\n", "*x\r\n", "+OK\n"] {
            assert!(Answers::default().next(&mut bytes.into()).is_err(), "{bytes:?}");
        }
    }
}
