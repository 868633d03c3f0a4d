//! A transaction too large for memory: its messages in a file, as the source sent them.
//!
//! The file has no name, so that nothing is left of it when the process ends. It is no store: the
//! source keeps everything until it is durable at the target.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes written or read at once.
const BLOCK: usize = 1024 * 1024;
/// Length of a record's head: the subtransaction (0: none), and the message's length.
const HEAD: usize = 8;

/// Written from its beginning to its end.
#[derive(Debug)]
pub(super) struct SpoolWriter {
    file: Arc<File>,
    length: u64,
    buffer: BytesMut,
}

/// A spool that is complete. Reading does not change it.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    file: Arc<File>,
    length: u64,
}

impl SpoolWriter {
    pub fn create(folder: &Path) -> io::Result<Self> {
        let file = Arc::new(tempfile::tempfile_in(folder)?);
        Ok(Self { file, length: 0, buffer: BytesMut::new() })
    }

    /// Into memory only: see `is_due`.
    pub fn push(&mut self, subtransaction: u32, message: &[u8]) {
        self.buffer.reserve(HEAD + message.len());
        self.buffer.put_u32(subtransaction);
        self.buffer.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        self.buffer.put_slice(message);
    }

    /// Enough has come together to be written.
    pub fn is_due(&self) -> bool {
        self.buffer.len() >= BLOCK
    }

    pub async fn write(&mut self) -> io::Result<()> {
        let (file, at) = (Arc::clone(&self.file), self.length);
        let bytes = self.buffer.split().freeze();
        self.length += bytes.len() as u64;
        blocking(move || file.write_all_at(&bytes, at)).await
    }

    pub async fn finish(mut self) -> io::Result<Spool> {
        self.write().await?;
        Ok(Spool { file: self.file, length: self.length })
    }
}

impl Spool {
    pub fn read(&self) -> SpoolReader {
        SpoolReader { spool: self.clone(), at: 0, buffer: BytesMut::new() }
    }
}

pub(super) struct SpoolReader {
    spool: Spool,
    at: u64,
    buffer: BytesMut,
}

impl SpoolReader {
    /// The next message with its subtransaction; None at the end.
    pub async fn next(&mut self) -> io::Result<Option<(u32, Bytes)>> {
        loop {
            if let Some(length) = self.buffered() {
                let mut record = self.buffer.split_to(HEAD + length).freeze();
                let subtransaction = record.get_u32();
                record.advance(size_of::<u32>());
                return Ok(Some((subtransaction, record)));
            }
            if self.at == self.spool.length {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
            self.fill().await?;
        }
    }

    /// Length of the next message, when all of it is here.
    fn buffered(&self) -> Option<usize> {
        let head = self.buffer.get(size_of::<u32>()..HEAD)?;
        let length = head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        (self.buffer.len() >= HEAD + length).then_some(length)
    }

    async fn fill(&mut self) -> io::Result<()> {
        let (file, at) = (Arc::clone(&self.spool.file), self.at);
        let length = (self.spool.length - at).min(BLOCK as u64);
        let mut block = BytesMut::zeroed(usize::try_from(length).unwrap_or(BLOCK));
        let block = blocking(move || file.read_exact_at(&mut block, at).map(|()| block)).await?;
        self.at += length;
        match self.buffer.is_empty() {
            true => self.buffer = block,
            false => self.buffer.extend_from_slice(&block),
        }
        Ok(())
    }
}

/// A disk may take its time: not in a thread that others wait for.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_spooled_is_read_in_order_as_often_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::create(folder.path()).unwrap();
        let message = |n: u32| vec![n as u8; (n as usize % 7) * 1000];
        for n in 0..2000 {
            writer.push(n, &message(n));
            if writer.is_due() {
                writer.write().await.unwrap();
            }
        }
        let spool = writer.finish().await.unwrap();
        assert!(spool.length > 3 * BLOCK as u64, "{}", spool.length);
        for _ in 0..2 {
            let mut reader = spool.read();
            for n in 0..2000 {
                let (subtransaction, read) = reader.next().await.unwrap().unwrap();
                assert_eq!((subtransaction, &read[..]), (n, &message(n)[..]));
            }
            assert!(reader.next().await.unwrap().is_none());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    }
}
