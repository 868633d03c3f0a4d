//! What a Redis server answers (Redis, "Serialization protocol specification", RESP2), from a
//! connection, and the commands that are sent.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Redis's own limit of one string (`proto-max-bulk-len`).
const LONGEST: usize = 512 * 1024 * 1024;
/// Answers that Mainstay asks for are nested less deeply.
const DEEPEST: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Status(String),
    Error(String),
    Number(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Nil,
}

impl Reply {
    pub fn text(&self) -> Option<&str> {
        match self {
            Reply::Status(text) => Some(text),
            Reply::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Reply::Number(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    pub fn items(&self) -> &[Reply] {
        match self {
            Reply::Array(items) => items,
            _ => &[],
        }
    }
}

/// Whether a server that answered with this error may do what it was asked later: it is loading,
/// it became a replica, its disk or memory is full, a script keeps it busy, it has no connection
/// left.
pub fn heals(error: &str) -> bool {
    const WORDS: [&str; 8] =
        ["LOADING", "READONLY", "MISCONF", "OOM", "BUSY", "NOREPLICAS", "MASTERDOWN", "TRYAGAIN"];
    let first = error.split([' ', ':']).next().unwrap_or_default();
    WORDS.contains(&first) || error.contains("max number of clients")
}

/// Appends one command.
pub fn encode<A: AsRef<[u8]>>(to: &mut Vec<u8>, command: &[A]) {
    length(to, b'*', command.len());
    for argument in command {
        length(to, b'$', argument.as_ref().len());
        to.extend_from_slice(argument.as_ref());
        to.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn length(to: &mut Vec<u8>, kind: u8, length: usize) {
    to.push(kind);
    to.extend_from_slice(length.to_string().as_bytes());
    to.extend_from_slice(b"\r\n");
}

/// Reads one answer.
pub async fn read(from: &mut (impl AsyncBufRead + Unpin + Send)) -> Result<Reply> {
    read_nested(from, DEEPEST).await
}

async fn read_nested(from: &mut (impl AsyncBufRead + Unpin + Send), deep: usize) -> Result<Reply> {
    let line = line(from).await?;
    let (kind, rest) = line.split_first().ok_or_else(|| malformed("an empty line"))?;
    let text = || String::from_utf8_lossy(rest).into_owned();
    Ok(match kind {
        b'+' => Reply::Status(text()),
        b'-' => Reply::Error(text()),
        b':' => Reply::Number(number(rest)?),
        b'$' => match size(rest)? {
            None => Reply::Nil,
            Some(length) if length > LONGEST => return Err(malformed("too long a string")),
            Some(length) => Reply::Bulk(bulk(from, length).await?),
        },
        b'*' => match size(rest)? {
            None => Reply::Nil,
            Some(_) if deep == 0 => return Err(malformed("too deeply nested an answer")),
            Some(count) => {
                let mut items = Vec::with_capacity(count.min(1024));
                for _ in 0..count {
                    items.push(Box::pin(read_nested(from, deep - 1)).await?);
                }
                Reply::Array(items)
            }
        },
        other => return Err(malformed(&format!("an answer that begins with byte {other}"))),
    })
}

/// A line without its end.
pub(crate) async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>> {
    const LONGEST_LINE: u64 = 64 * 1024;
    let mut line = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(ended());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

async fn bulk(from: &mut (impl AsyncBufRead + Unpin), length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(1024 * 1024));
    from.take(length as u64 + 2).read_to_end(&mut bytes).await?;
    if bytes.len() != length + 2 {
        return Err(ended());
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn size(digits: &[u8]) -> Result<Option<usize>> {
    match number(digits)? {
        -1 => Ok(None),
        size => usize::try_from(size).map(Some).map_err(|_| malformed("a negative length")),
    }
}

fn number(digits: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed("a number that is none"))
}

fn ended() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the connection ended")
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("it sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_as_it_was_meant() {
        let bytes = b"*4\r\n:-7\r\n$5\r\na\r\nb\0\r\n*1\r\n$-1\r\n-ERR no\r\n".to_vec();
        let answer = read(&mut &bytes[..]).await.expect("a whole answer");
        let wanted = Reply::Array(vec![
            Reply::Number(-7),
            Reply::Bulk(b"a\r\nb\0".to_vec()),
            Reply::Array(vec![Reply::Nil]),
            Reply::Error("ERR no".to_owned()),
        ]);
        assert_eq!(answer, wanted);
    }

    #[tokio::test]
    async fn what_is_no_answer_or_half_of_one_is_an_error() {
        for bytes in ["", "+OK", "$5\r\nabc", "*2\r\n:1\r\n", "?\r\n", ":x\r\n", "$-2\r\n"] {
            assert!(read(&mut bytes.as_bytes()).await.is_err(), "{bytes:?}");
        }
        let deep = "*1\r\n".repeat(100);
        assert!(read(&mut deep.as_bytes()).await.is_err());
    }
}
