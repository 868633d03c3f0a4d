//! COPY between two servers in large pieces: a server sends one message for each row, and what
//! comes is handed on in messages of many rows (PostgreSQL manual, "COPY Operations": where a
//! message ends has no meaning).

use super::frames::{CopyOut, Frame};
use super::{Replication, ReplicationError, login};
use crate::postgres::connect;
use bytes::BytesMut;
use futures::FutureExt;
use mainstay_core::estate::PostgresEndpoint;
use postgres_protocol::message::frontend;

type Result<T> = std::result::Result<T, ReplicationError>;

/// A message is sent once it is at least this large. Larger ones gain nothing.
const MESSAGE: usize = 256 * 1024;
/// Tag and length of a message.
const HEADER: usize = 5;

/// An ordinary session that is made for COPY.
pub struct CopySession(Replication);

/// The two sides of a running COPY, told apart so that an error says where it came from.
#[derive(Debug)]
pub enum CopyError {
    Source(ReplicationError),
    Target(ReplicationError),
}

impl CopySession {
    pub async fn open(endpoint: &PostgresEndpoint, what: &str) -> Result<Self> {
        let opening = login::open(endpoint, what, login::Mode::Ordinary);
        match tokio::time::timeout(connect::CONNECT_TIMEOUT, opening).await {
            Ok(outcome) => outcome.map(Self),
            Err(_) => Err(connect::no_answer(endpoint).into()),
        }
    }

    /// Runs statements that answer with nothing that matters.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        self.0.simple_query(sql).await.map(|_| ())
    }

    /// The first column of the first row of an answer, as text.
    pub async fn value(&mut self, sql: &str) -> Result<Option<String>> {
        let rows = self.0.simple_query(sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    async fn begin_copy(&mut self, sql: &str) -> Result<()> {
        self.0.send(sql).await?;
        loop {
            match self.0.reader.next().await? {
                Frame::CopyBegins => return Ok(()),
                Frame::Error { why, sqlstate } => {
                    let error = self.0.refusal("to copy", why, sqlstate);
                    self.until_ready().await?;
                    return Err(error);
                }
                Frame::Other | Frame::Warning { .. } => {}
                _ => return Err(self.0.protocol("it did not begin to copy")),
            }
        }
    }

    async fn until_ready(&mut self) -> Result<()> {
        while !matches!(self.0.reader.next().await?, Frame::Ready) {}
        Ok(())
    }

    /// Rows that the finished COPY has read or written.
    async fn copied(&mut self) -> Result<u64> {
        let (mut rows, mut refused) = (None, None);
        loop {
            match self.0.reader.next().await? {
                Frame::Complete { rows: told } => rows = told,
                Frame::Error { why, sqlstate } => {
                    refused.get_or_insert(self.0.refusal("to copy", why, sqlstate));
                }
                Frame::Ready => break,
                _ => {}
            }
        }
        match (refused, rows) {
            (Some(error), _) => Err(error),
            (None, Some(rows)) => Ok(rows),
            (None, None) => Err(self.0.protocol("the copy ended without a count of rows")),
        }
    }

    /// The error that the server has sent meanwhile, if any: nobody waits for it.
    fn complaint(&mut self) -> Result<()> {
        match self.0.reader.next().now_or_never() {
            None | Some(Ok(Frame::Other | Frame::Warning { .. })) => Ok(()),
            Some(Ok(Frame::Error { why, sqlstate })) => {
                Err(self.0.refusal("to copy", why, sqlstate))
            }
            Some(Ok(_)) => Err(self.0.protocol("it ended the copy before its end")),
            Some(Err(error)) => Err(error),
        }
    }

    async fn end_copy(&mut self) -> Result<u64> {
        let mut out = BytesMut::new();
        frontend::copy_done(&mut out);
        self.0.writer.send(&out).await?;
        self.copied().await
    }
}

/// Copies what `out` gives at the source to what `into` takes at the target; both are COPY
/// statements. `moved` is told the bytes of each piece once the target has been sent it. Returns
/// the rows. After an error neither session may be used any more.
pub async fn pump(
    (source, out): (&mut CopySession, &str),
    (target, into): (&mut CopySession, &str),
    moved: impl Fn(u64),
) -> std::result::Result<u64, CopyError> {
    source.begin_copy(out).await.map_err(CopyError::Source)?;
    target.begin_copy(into).await.map_err(CopyError::Target)?;
    let mut full = BytesMut::new();
    let mut more = true;
    while more {
        // While one piece is being sent the next one is read.
        let mut filling = BytesMut::with_capacity(MESSAGE + MESSAGE / 4);
        filling.extend_from_slice(&[0; HEADER]);
        let (read, sent) = tokio::join!(fill(source, &mut filling), target.send_piece(&mut full));
        moved(sent.map_err(CopyError::Target)?);
        more = read.map_err(CopyError::Source)?;
        full = filling;
    }
    moved(target.send_piece(&mut full).await.map_err(CopyError::Target)?);
    let read = source.copied().await.map_err(CopyError::Source)?;
    let written = target.end_copy().await.map_err(CopyError::Target)?;
    if read != written {
        let why = format!("it was sent {read} rows and says that it copied {written}");
        return Err(CopyError::Target(target.0.protocol(&why)));
    }
    Ok(written)
}

/// False when the source has sent everything.
async fn fill(source: &mut CopySession, piece: &mut BytesMut) -> Result<bool> {
    while piece.len() < MESSAGE {
        match source.0.reader.copy_out(piece).await? {
            CopyOut::More => {}
            CopyOut::Done => return Ok(false),
            CopyOut::Error { why, sqlstate } => {
                return Err(source.0.refusal("to copy", why, sqlstate));
            }
        }
    }
    Ok(true)
}

impl CopySession {
    /// Sends a piece that has room for a header before its data, and returns the data's length.
    async fn send_piece(&mut self, piece: &mut BytesMut) -> Result<u64> {
        let Some(data) = piece.len().checked_sub(HEADER).filter(|data| *data > 0) else {
            return Ok(0);
        };
        // The length counts itself, not the tag.
        let length = u32::try_from(data + 4).map_err(|_| self.0.protocol("a row is too long"))?;
        piece[0] = b'd';
        piece[1..HEADER].copy_from_slice(&length.to_be_bytes());
        self.0.writer.send(piece).await?;
        self.complaint()?;
        Ok(data as u64)
    }
}
