//! One JSON document a line, with a bound on the line's length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longer lines are refused: no message of ours comes near.
pub const MAX_LINE: usize = 16 * 1024;

/// Reads up to and including the next newline and nothing more, so that the bytes after it can be
/// handed to someone else. None at a clean end.
pub async fn read<T, R>(from: &mut R) -> io::Result<Option<T>>
where
    T: DeserializeOwned,
    R: AsyncRead + Unpin,
{
    let mut line = Vec::new();
    let mut byte = [0u8; 1];
    loop {
        if from.read(&mut byte).await? == 0 {
            return if line.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        match byte[0] {
            b'\n' => return serde_json::from_slice(&line).map(Some).map_err(io::Error::other),
            _ if line.len() == MAX_LINE => return Err(io::Error::other("the line is too long")),
            other => line.push(other),
        }
    }
}

/// Writes the message as one line and flushes it.
pub async fn write<T, W>(to: &mut W, message: &T) -> io::Result<()>
where
    T: Serialize,
    W: AsyncWrite + Unpin,
{
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_the_line_is_left_alone() {
        let mut bytes: &[u8] = b"[1,2]\nrest";
        assert_eq!(read::<Vec<u8>, _>(&mut bytes).await.unwrap(), Some(vec![1, 2]));
        assert_eq!(bytes, b"rest");
    }

    #[tokio::test]
    async fn an_end_within_a_line_and_an_endless_line_are_errors() {
        assert_eq!(read::<u8, _>(&mut &b""[..]).await.unwrap(), None);
        assert!(read::<u8, _>(&mut &b"12"[..]).await.is_err());
        assert!(read::<u8, _>(&mut &vec![b'1'; MAX_LINE + 2][..]).await.is_err());
    }
}
