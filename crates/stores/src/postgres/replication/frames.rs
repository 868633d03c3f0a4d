//! Messages of PostgreSQL's protocol 3 to and from a socket.

use super::{ReplicationError, TextRow};
use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::backend::{
    DataRowBody, ErrorFields, ErrorResponseBody, Header, Message, NoticeResponseBody,
};
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_postgres::fallible_iterator::FallibleIterator;

/// A plain or an encrypted connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Socket = Box<dyn Duplex>;

const COPY_BOTH: u8 = b'W';
const COPY_DATA: u8 = b'd';
/// Tag and length.
const HEADER: usize = 5;
/// What is read from the socket at once.
const READ: usize = 64 * 1024;
/// Room that is still read into.
const LEAST: usize = 4 * 1024;
/// PostgreSQL itself makes no message longer than 1 GB (`MaxAllocSize`).
const LONGEST: usize = 0x4000_0000;

/// What matters of a message from the server.
pub(super) enum Frame {
    CopyBoth,
    CopyData(Bytes),
    CopyDone,
    /// A COPY in one direction begins.
    CopyBegins,
    /// A statement ended; `rows` for those that count them.
    Complete {
        rows: Option<u64>,
    },
    DataRow(TextRow),
    Error {
        why: String,
        sqlstate: String,
    },
    Ready,
    Warning {
        why: String,
        sqlstate: String,
    },
    /// Notices, parameters, row descriptions.
    Other,
}

/// What a source that copies has sent.
pub(super) enum CopyOut {
    More,
    Done,
    Error { why: String, sqlstate: String },
}

pub(super) struct FrameReader {
    place: String,
    socket: ReadHalf<Socket>,
    buffer: BytesMut,
}

pub(super) struct FrameWriter {
    place: String,
    socket: WriteHalf<Socket>,
}

pub(super) fn split(place: &str, socket: Socket) -> (FrameReader, FrameWriter) {
    let (read, write) = tokio::io::split(socket);
    let reader = FrameReader { place: place.to_owned(), socket: read, buffer: BytesMut::new() };
    (reader, FrameWriter { place: place.to_owned(), socket: write })
}

fn lost(place: &str, error: &std::io::Error) -> ReplicationError {
    ReplicationError::Lost { place: place.to_owned(), why: error.to_string() }
}

impl FrameReader {
    /// Cancel safe: what was read stays in the buffer.
    pub(super) async fn next(&mut self) -> Result<Frame, ReplicationError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The next message as the protocol crate reads it, for the login.
    pub(super) async fn next_message(&mut self) -> Result<Message, ReplicationError> {
        loop {
            self.length()?;
            match Message::parse(&mut self.buffer) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => self.fill().await?,
                Err(error) => return Err(self.protocol(&error)),
            }
        }
    }

    /// Appends the data of all messages that have come to `piece`, after waiting for at least one.
    pub(super) async fn copy_out(
        &mut self,
        piece: &mut BytesMut,
    ) -> Result<CopyOut, ReplicationError> {
        let before = piece.len();
        loop {
            while let Some(length) = self.copy_data()? {
                piece.extend_from_slice(&self.buffer[HEADER..length]);
                self.buffer.advance(length);
            }
            if piece.len() > before {
                return Ok(CopyOut::More);
            }
            match self.buffered()? {
                Some(Frame::CopyDone) => return Ok(CopyOut::Done),
                Some(Frame::Error { why, sqlstate }) => {
                    return Ok(CopyOut::Error { why, sqlstate });
                }
                Some(_) => {}
                None => self.fill().await?,
            }
        }
    }

    /// Length of a message of data that has come whole.
    fn copy_data(&self) -> Result<Option<usize>, ReplicationError> {
        if self.buffer.first() != Some(&COPY_DATA) {
            return Ok(None);
        }
        Ok(self.length()?.filter(|length| self.buffer.len() >= *length))
    }

    async fn fill(&mut self) -> Result<(), ReplicationError> {
        // Messages that wait keep the whole of the buffer that they are a part of, so that one is
        // used up before there is another.
        if self.buffer.capacity() - self.buffer.len() < LEAST {
            self.buffer.reserve(READ);
        }
        match self.socket.read_buf(&mut self.buffer).await {
            Ok(0) => {
                let why = "the server closed it".to_owned();
                Err(ReplicationError::Lost { place: self.place.clone(), why })
            }
            Ok(_) => Ok(()),
            Err(error) => Err(lost(&self.place, &error)),
        }
    }

    /// Length of the next message with its header, once that much of it has come.
    fn length(&self) -> Result<Option<usize>, ReplicationError> {
        let header = Header::parse(&self.buffer).map_err(|e| self.protocol(&e))?;
        let Some(header) = header else { return Ok(None) };
        let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
        if length > LONGEST {
            let why = format!("a message of {length} bytes");
            return Err(ReplicationError::Protocol { place: self.place.clone(), why });
        }
        Ok(Some(length + 1))
    }

    /// The next message that has come whole.
    pub(super) fn buffered(&mut self) -> Result<Option<Frame>, ReplicationError> {
        let Some(length) = self.length()? else { return Ok(None) };
        if self.buffer.len() < length {
            return Ok(None);
        }
        match self.buffer[0] {
            // The two that the protocol crate does not know, or that come by the thousand.
            COPY_BOTH => {
                self.buffer.advance(length);
                Ok(Some(Frame::CopyBoth))
            }
            COPY_DATA => {
                let mut message = self.buffer.split_to(length);
                message.advance(HEADER);
                Ok(Some(Frame::CopyData(message.freeze())))
            }
            _ => {
                let message = Message::parse(&mut self.buffer).map_err(|e| self.protocol(&e))?;
                message.map(|message| self.frame(message)).transpose()
            }
        }
    }

    fn frame(&self, message: Message) -> Result<Frame, ReplicationError> {
        let bad = |e: std::io::Error| self.protocol(&e);
        Ok(match message {
            Message::CopyDone => Frame::CopyDone,
            Message::CopyInResponse(_) | Message::CopyOutResponse(_) => Frame::CopyBegins,
            Message::CommandComplete(body) => {
                let tag = body.tag().map_err(bad)?;
                Frame::Complete { rows: tag.rsplit(' ').next().and_then(|n| n.parse().ok()) }
            }
            Message::ReadyForQuery(_) => Frame::Ready,
            Message::DataRow(body) => Frame::DataRow(text_row(&body).map_err(bad)?),
            Message::ErrorResponse(body) => {
                let (why, sqlstate) = error_fields(&body).map_err(bad)?;
                Frame::Error { why, sqlstate }
            }
            Message::NoticeResponse(body) => match notice_fields(&body).map_err(bad)? {
                (Severity::Warning, why, sqlstate) => Frame::Warning { why, sqlstate },
                (Severity::Other, ..) => Frame::Other,
            },
            _ => Frame::Other,
        })
    }

    fn protocol(&self, error: &std::io::Error) -> ReplicationError {
        ReplicationError::Protocol { place: self.place.clone(), why: error.to_string() }
    }
}

impl FrameWriter {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), ReplicationError> {
        let written = async {
            self.socket.write_all(bytes).await?;
            self.socket.flush().await
        };
        written.await.map_err(|error| lost(&self.place, &error))
    }

    pub(super) fn lost(&self, error: &std::io::Error) -> ReplicationError {
        lost(&self.place, error)
    }
}

fn text_row(body: &DataRowBody) -> std::io::Result<TextRow> {
    let text = |range: Range<usize>| String::from_utf8_lossy(&body.buffer()[range]).into_owned();
    body.ranges().map(|range| Ok(range.map(text))).collect()
}

enum Severity {
    Warning,
    Other,
}

fn notice_fields(body: &NoticeResponseBody) -> std::io::Result<(Severity, String, String)> {
    let (why, sqlstate, severity) = fields(body.fields())?;
    let severity = if severity == "WARNING" { Severity::Warning } else { Severity::Other };
    Ok((severity, why, sqlstate))
}

/// The message with its detail, and the SQLSTATE.
pub(super) fn error_fields(body: &ErrorResponseBody) -> std::io::Result<(String, String)> {
    let (why, sqlstate, _) = fields(body.fields())?;
    Ok((why, sqlstate))
}

/// Message with detail, SQLSTATE, and the severity that is not translated (PostgreSQL manual,
/// "Error and Notice Message Fields").
fn fields(mut fields: ErrorFields<'_>) -> std::io::Result<(String, String, String)> {
    let (mut why, mut sqlstate, mut severity) = (String::new(), String::new(), String::new());
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes());
        match field.type_() {
            b'M' => why.insert_str(0, &text),
            b'D' => why.push_str(&format!(" ({text})")),
            b'C' => sqlstate = text.into_owned(),
            b'V' => severity = text.into_owned(),
            _ => {}
        }
    }
    Ok((why, sqlstate, severity))
}
