//! The first copy: the source's snapshot, value by value, into the emptied target.
//!
//! The target is emptied at once, and not key by key afterwards: nobody reads it, because a site
//! that receives is closed to its application, its readers are shut out in the transaction that
//! empties it, and what the source removed meanwhile must be gone. It happens only when the source's
//! snapshot has begun to come.

use super::batch::Batch;
use super::failure::LinkError;
use super::psync::Incoming;
use super::record;
use super::shared::Shared;
use super::stream::Stream;
use super::values::Values;
use crate::redis::session::Session;
use bytes::BytesMut;
use mainstay_wire::rdb::{Event, Family, Format, Reader};
use std::time::{Duration, Instant};

/// What the source announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// Diskless: it ends with these bytes.
    Mark(Vec<u8>),
    /// From a file of this length.
    Length(u64),
}

/// Waits until the source's snapshot begins: `$EOF:<mark>` or `$<length>`.
pub(super) async fn announced(incoming: &mut Incoming) -> Result<Payload, LinkError> {
    let line = incoming.line().await?;
    let payload = match line.strip_prefix("$EOF:") {
        Some(mark) if mark.len() == 40 => Some(Payload::Mark(mark.as_bytes().to_vec())),
        Some(_) => None,
        None => line.strip_prefix('$').and_then(|n| n.parse().ok()).map(Payload::Length),
    };
    payload.ok_or_else(|| incoming.not_understood(format!("{line:?} instead of its snapshot")))
}

/// A first copy that can begin: the target is empty, and says what it reads.
pub(super) struct Copy {
    payload: Payload,
    target: Format,
    /// What the target calls itself, for people.
    server: String,
}

/// Empties the target, and looks what it can read.
pub(super) async fn prepare(
    shared: &Shared,
    target: &mut Session,
    payload: Payload,
) -> Result<(Copy, Batch), LinkError> {
    let info = target.info("server").await?;
    let (family, version) = match (info.get("valkey_version"), info.get("redis_version")) {
        (Some(version), _) => (Family::Valkey, version),
        (None, Some(version)) => (Family::Redis, version),
        (None, None) => {
            let (place, what) =
                (target.place().to_owned(), "it does not tell its version".to_owned());
            return Err(LinkError::NotUnderstood { place, what });
        }
    };
    // One that is newer than all we know reads at least what the newest of those does.
    let newest = match family {
        Family::Valkey => Format::VALKEY_9,
        Family::Redis => Format::REDIS_7_4,
    };
    let format = Format::of_server(family, version).unwrap_or(newest);
    let server = format!("{} (version {version})", target.place());
    let name = uuid::Uuid::new_v4().to_string();
    shared.copying(0, 0, 0);
    record::empty(target, &shared.spec, &name).await?;
    Ok((Copy { payload, target: format, server }, Batch::new(&shared.spec, name, 0)))
}

/// A value over this size is rebuilt from parts.
const LARGE: usize = 1024 * 1024;

/// Brings all that the source sends before its commands; the target is then at `stream.at`.
pub(super) async fn copy(
    shared: &Shared,
    stream: &mut Stream<'_>,
    copy: Copy,
) -> Result<(), LinkError> {
    let total = match copy.payload {
        Payload::Length(length) => length,
        Payload::Mark(_) => 0,
    };
    let mut snapshot = Snapshot {
        reader: Reader::new(LARGE),
        left: (total > 0).then_some(total),
        values: Values::new(copy.target, copy.server),
    };
    let (mut told, mut read) = (Instant::now(), 0);
    loop {
        while let Some(event) = snapshot.next(&stream.incoming)? {
            if event == Event::End {
                snapshot.end(&mut stream.incoming, &copy.payload).await?;
                return stream.copied().await;
            }
            let place = &stream.incoming.place;
            snapshot.values.take(event, &stream.commands.filter, &mut stream.batch, place)?;
            if stream.batch.is_full() {
                stream.send_copied().await?;
            }
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            shared.copying(snapshot.values.keys, read, total.max(read));
        }
        if stream.incoming.buffer.is_empty() {
            stream.incoming.more().await?;
        }
        read += snapshot.feed(&mut stream.incoming.buffer) as u64;
    }
}

/// How often those who watch are told of the copy's progress.
const TELL: Duration = Duration::from_millis(200);

struct Snapshot {
    reader: Reader,
    /// What of the announced length was not fed yet; none where a mark ends it.
    left: Option<u64>,
    values: Values,
}

impl Snapshot {
    fn next(&mut self, incoming: &Incoming) -> Result<Option<Event>, LinkError> {
        self.reader.next_event().map_err(|error| {
            let (place, what) = (incoming.place.clone(), error.to_string());
            LinkError::NotUnderstood { place, what }
        })
    }

    fn feed(&mut self, buffer: &mut BytesMut) -> usize {
        let most = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = buffer.split_to(buffer.len().min(most));
        if let Some(left) = &mut self.left {
            *left -= bytes.len() as u64;
        }
        self.reader.feed(&bytes);
        bytes.len()
    }

    /// What was fed beyond the end goes back; the mark must follow.
    async fn end(&mut self, incoming: &mut Incoming, payload: &Payload) -> Result<(), LinkError> {
        let rest = self.reader.rest();
        let mut buffer = BytesMut::from(&rest[..]);
        buffer.extend_from_slice(&incoming.buffer);
        incoming.buffer = buffer;
        match payload {
            Payload::Length(_) if self.left == Some(0) && rest.is_empty() => Ok(()),
            Payload::Length(_) => {
                Err(incoming
                    .not_understood("a snapshot of another length than announced".to_owned()))
            }
            Payload::Mark(mark) => {
                while incoming.buffer.len() < mark.len() {
                    incoming.more().await?;
                }
                if incoming.buffer.split_to(mark.len())[..] == mark[..] {
                    return Ok(());
                }
                Err(incoming
                    .not_understood("a snapshot that does not end with its mark".to_owned()))
            }
        }
    }
}
