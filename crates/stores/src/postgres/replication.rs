//! A connection in replication mode: create a slot with an exported snapshot, and stream from it
//! (PostgreSQL manual, "Streaming Replication Protocol"). `tokio-postgres` has no such mode.

pub mod copy;
mod frames;
mod login;
mod paced;

use super::connect::{self, ConnectError};
use bytes::{Bytes, BytesMut};
use frames::{Frame, FrameReader, FrameWriter};
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{DecodeError, StatusUpdate, StreamMessage, decode_stream};
use postgres_protocol::message::frontend;

/// `place` is the endpoint as people write it: `host:port/database`.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{place}: the connection was lost: {why}")]
    Lost { place: String, why: String },
    #[error("{place} refused {doing}: {why}")]
    Refused { place: String, doing: String, why: String, sqlstate: String },
    #[error("{place} did not follow the protocol: {why}")]
    Protocol { place: String, why: String },
    #[error(
        "{place}: changes are left out of the stream: {why}; make the publication again by \
         starting that site's agent, and copy the target anew"
    )]
    LeftOut { place: String, why: String },
    #[error("{place}: {why}")]
    Decode { place: String, why: DecodeError },
}

impl ReplicationError {
    /// PostgreSQL's own code, when the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            ReplicationError::Connect(error) => error.sqlstate(),
            ReplicationError::Refused { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }
}

/// `object_not_in_prerequisite_state`
const NOT_IN_STATE: &str = "55000";

type Result<T> = std::result::Result<T, ReplicationError>;

/// A row of a simple query: each column as text.
pub type TextRow = Vec<Option<String>>;

/// How long a slot lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotLife {
    /// Until it is dropped.
    Kept,
    /// Until this connection ends.
    Temporary,
}

/// What a stream brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Transactions that are committed, whole (`pgoutput` protocol 1).
    Committed,
    /// Large ones while they are in progress, too (protocol 2, PostgreSQL 14 and later).
    InProgress,
}

impl Protocol {
    fn options(self) -> &'static str {
        match self {
            Protocol::Committed => "proto_version '1'",
            Protocol::InProgress => "proto_version '2', streaming 'on', messages 'true'",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The snapshot holds exactly the transactions that committed before this position; the slot
    /// streams those after it.
    pub consistent_point: Lsn,
    /// For `SET TRANSACTION SNAPSHOT`. It is gone with the next command on this connection, or
    /// with the connection.
    pub snapshot: String,
}

/// A connection to one database in replication mode, between commands.
pub struct Replication {
    place: String,
    reader: FrameReader,
    writer: FrameWriter,
}

impl Replication {
    pub async fn connect(endpoint: &PostgresEndpoint, what: &str) -> Result<Self> {
        let opening = login::open(endpoint, what, login::Mode::Replication);
        match tokio::time::timeout(connect::CONNECT_TIMEOUT, opening).await {
            Ok(outcome) => outcome,
            Err(_) => Err(connect::no_answer(endpoint).into()),
        }
    }

    /// Runs a command and returns the rows of its answer.
    pub async fn simple_query(&mut self, command: &str) -> Result<Vec<TextRow>> {
        self.send(command).await?;
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            match self.reader.next().await? {
                Frame::DataRow(row) => rows.push(row),
                Frame::Error { why, sqlstate } => {
                    refused.get_or_insert(self.refusal(command, why, sqlstate));
                }
                Frame::Ready => return refused.map_or(Ok(rows), Err),
                Frame::Other | Frame::Warning { .. } => {}
                Frame::Complete { .. } => {}
                Frame::CopyBoth | Frame::CopyBegins | Frame::CopyData(_) | Frame::CopyDone => {
                    return Err(self.protocol("it began to stream in answer to a query"));
                }
            }
        }
    }

    /// Creates a logical slot for `pgoutput` and exports the snapshot of its consistent point.
    pub async fn create_slot(&mut self, name: &str, life: SlotLife) -> Result<CreatedSlot> {
        let temporary = if life == SlotLife::Temporary { " TEMPORARY" } else { "" };
        let command = format!(
            "CREATE_REPLICATION_SLOT {}{temporary} LOGICAL pgoutput (SNAPSHOT 'export')",
            quote_identifier(name)
        );
        let rows = self.simple_query(&command).await?;
        // Columns: slot_name, consistent_point, snapshot_name, output_plugin.
        let field = |column: usize| rows.first()?.get(column)?.as_deref();
        let created = || {
            let consistent_point = field(1)?.parse().ok()?;
            Some(CreatedSlot { consistent_point, snapshot: field(2)?.to_owned() })
        };
        created().ok_or_else(|| self.protocol("the new slot has no position or no snapshot"))
    }

    /// Streams the publication's changes committed after `from`.
    pub async fn start(
        mut self,
        slot: &str,
        from: Lsn,
        publication: &str,
        protocol: Protocol,
    ) -> Result<ChangeStream> {
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} ({}, publication_names {})",
            quote_identifier(slot),
            protocol.options(),
            quote_literal(&quote_identifier(publication)),
        );
        self.send(&command).await?;
        loop {
            match self.reader.next().await? {
                Frame::CopyBoth => return Ok(self.into_stream()),
                Frame::Error { why, sqlstate } => {
                    return Err(self.refusal("to stream", why, sqlstate));
                }
                Frame::Other | Frame::Complete { .. } | Frame::Warning { .. } => {}
                _ => return Err(self.protocol("it did not begin to stream")),
            }
        }
    }

    fn into_stream(self) -> ChangeStream {
        ChangeStream {
            reader: ChangeReader { place: self.place, frames: self.reader },
            sender: StatusSender { frames: self.writer },
        }
    }

    async fn send(&mut self, command: &str) -> Result<()> {
        let mut out = BytesMut::new();
        frontend::query(command, &mut out).map_err(|e| self.protocol(&e.to_string()))?;
        self.writer.send(&out).await
    }

    fn refusal(&self, doing: &str, why: String, sqlstate: String) -> ReplicationError {
        ReplicationError::Refused {
            place: self.place.clone(),
            doing: doing.to_owned(),
            why,
            sqlstate,
        }
    }

    fn protocol(&self, why: &str) -> ReplicationError {
        ReplicationError::Protocol { place: self.place.clone(), why: why.to_owned() }
    }
}

/// A running stream: its two halves may be used by different tasks.
pub struct ChangeStream {
    pub reader: ChangeReader,
    pub sender: StatusSender,
}

pub struct ChangeReader {
    place: String,
    frames: FrameReader,
}

impl ChangeReader {
    /// The next message. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Result<StreamMessage> {
        loop {
            let frame = self.frames.next().await?;
            if let Some(message) = self.message(frame)? {
                return Ok(message);
            }
        }
    }

    fn message(&self, frame: Frame) -> Result<Option<StreamMessage>> {
        let place = || self.place.clone();
        match frame {
            Frame::CopyData(data) => self.decode(data).map(Some),
            Frame::Error { why, sqlstate } => {
                let doing = "to stream on".to_owned();
                Err(ReplicationError::Refused { place: place(), doing, why, sqlstate })
            }
            Frame::CopyDone | Frame::Ready => {
                let why = "the source ended the stream".to_owned();
                Err(ReplicationError::Lost { place: place(), why })
            }
            // PostgreSQL 18 leaves out the changes of a publication that is missing, with no
            // more than this warning (`pgoutput.c`, `LoadPublications`).
            Frame::Warning { why, sqlstate } if sqlstate == NOT_IN_STATE => {
                Err(ReplicationError::LeftOut { place: place(), why })
            }
            Frame::Warning { .. } | Frame::Complete { .. } | Frame::Other => Ok(None),
            Frame::CopyBoth | Frame::CopyBegins | Frame::DataRow(_) => {
                let why = "something other than changes in the stream".to_owned();
                Err(ReplicationError::Protocol { place: place(), why })
            }
        }
    }

    /// The next message, if it has arrived whole.
    pub fn buffered(&mut self) -> Result<Option<StreamMessage>> {
        loop {
            match self.frames.buffered()? {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(message) = self.message(frame)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    fn decode(&self, data: Bytes) -> Result<StreamMessage> {
        let fault = |why| ReplicationError::Decode { place: self.place.clone(), why };
        decode_stream(data).map_err(fault)
    }

    /// The error for a `pgoutput` message from this stream that could not be decoded.
    pub fn undecoded(&self, why: DecodeError) -> ReplicationError {
        ReplicationError::Decode { place: self.place.clone(), why }
    }
}

pub struct StatusSender {
    frames: FrameWriter,
}

impl StatusSender {
    /// Tells the source how far its changes are durable here. Not to be dropped before it is
    /// ready: half a message would break the stream.
    pub async fn send(&mut self, status: StatusUpdate) -> Result<()> {
        let mut out = BytesMut::with_capacity(40);
        let body = status.encode();
        let data = frontend::CopyData::new(body).map_err(|e| self.frames.lost(&e))?;
        data.write(&mut out);
        self.frames.send(&out).await
    }
}

/// As `quote_ident`, always quoted.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string constant that reads the same whatever `standard_conforming_strings` says, when it has
/// no backslash; names of ours have none.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
