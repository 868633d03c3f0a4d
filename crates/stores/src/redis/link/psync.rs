//! Mainstay as a replica of the source (Redis, "Replication": PSYNC, version 2 of it).

use super::failure::LinkError;
use super::spec::LinkSpec;
use crate::redis::connect::{self, place};
use crate::redis::fault::Fault;
use crate::redis::reply;
use bytes::BytesMut;
use mainstay_core::position::{ReplicationId, ReplicationOffset};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

/// Without a byte from the source for this long, it is connected to again. Servers ping their
/// replicas every ten seconds.
const SILENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 256 * 1024;
/// The newest version of Valkey whose snapshots we read.
const READS: &str = "9.0.0";

/// What the source sends, with what was read of it and not used yet.
pub(super) struct Incoming {
    half: ReadHalf<connect::Connection>,
    pub buffer: BytesMut,
    pub place: String,
}

pub(super) type Outgoing = WriteHalf<connect::Connection>;

impl Incoming {
    /// More bytes into the buffer. It may be dropped while it waits.
    pub async fn more(&mut self) -> Result<(), LinkError> {
        self.buffer.reserve(CHUNK);
        let lost = |why: String| LinkError::Lost { place: self.place.clone(), why };
        match tokio::time::timeout(SILENCE, self.half.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(lost("the server closed it".to_owned())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Err(_) => {
                Err(LinkError::Silent { place: self.place.clone(), seconds: SILENCE.as_secs() })
            }
        }
    }

    /// A line without its end. Empty ones only say that the source is still there.
    pub async fn line(&mut self) -> Result<String, LinkError> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !text.is_empty() {
                    return Ok(text);
                }
            }
            if self.buffer.len() > CHUNK {
                return Err(self.not_understood("a line without an end".to_owned()));
            }
            self.more().await?;
        }
    }

    pub fn not_understood(&self, what: String) -> LinkError {
        LinkError::NotUnderstood { place: self.place.clone(), what: format!("it sent {what}") }
    }
}

/// How the source goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// From where the target is, perhaps under a new name of the history.
    Continue(ReplicationOffset),
    /// With all of its data first, as of this position.
    Full(ReplicationOffset),
}

/// Connects and asks for everything after `at`; `None` for all data.
pub(super) async fn start(
    spec: &LinkSpec,
    at: Option<ReplicationOffset>,
) -> Result<(Incoming, Outgoing, Start), LinkError> {
    let connection =
        connect::connect(&spec.source, &format!("link {}", spec.to)).await.map_err(Fault::from)?;
    let (half, mut outgoing) = tokio::io::split(connection);
    let buffer = BytesMut::with_capacity(CHUNK);
    let mut incoming = Incoming { half, buffer, place: place(&spec.source) };
    // A replica that Sentinel must not take for one that it could promote has no port.
    let introduce = ["REPLCONF", "listening-port", "0", "capa", "eof", "capa", "psync2"];
    ask(&mut incoming, &mut outgoing, &introduce).await?;
    // Valkey writes its snapshot as that version reads it, and as Redis 7.2 does otherwise, which
    // has no fields that expire. Redis does not know the option, and need not.
    send(&mut outgoing, &["REPLCONF", "version", READS], &incoming.place).await?;
    incoming.line().await?;
    let (history, offset) = match at {
        Some(at) => (at.history.to_string(), (at.offset + 1).to_string()),
        None => ("?".to_owned(), "-1".to_owned()),
    };
    let answer = ask(&mut incoming, &mut outgoing, &["PSYNC", &history, &offset]).await?;
    let start = understand(&answer, at).ok_or_else(|| incoming.not_understood(answer))?;
    Ok((incoming, outgoing, start))
}

async fn ask(
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    command: &[&str],
) -> Result<String, LinkError> {
    send(outgoing, command, &incoming.place).await?;
    let answer = incoming.line().await?;
    let Some(why) = answer.strip_prefix('-') else { return Ok(answer) };
    let (place, why) = (incoming.place.clone(), why.to_owned());
    // A replica that is not in step with its own source says NOMASTERLINK.
    if reply::heals(&why) || why.starts_with("NOMASTERLINK") {
        return Err(LinkError::NotNow { place, why });
    }
    Err(LinkError::ReplicationBlocked { place, why })
}

pub(super) async fn send(
    outgoing: &mut Outgoing,
    command: &[&str],
    place: &str,
) -> Result<(), LinkError> {
    let mut bytes = Vec::new();
    reply::encode(&mut bytes, command);
    send_raw(outgoing, &bytes, place).await
}

pub(super) async fn send_raw(
    outgoing: &mut Outgoing,
    bytes: &[u8],
    place: &str,
) -> Result<(), LinkError> {
    let sent = async {
        outgoing.write_all(bytes).await?;
        outgoing.flush().await
    };
    let lost = |e: std::io::Error| LinkError::Lost { place: place.to_owned(), why: e.to_string() };
    sent.await.map_err(lost)
}

/// `+FULLRESYNC <history> <offset>`, `+CONTINUE` or `+CONTINUE <history>`.
fn understand(answer: &str, at: Option<ReplicationOffset>) -> Option<Start> {
    let mut words = answer.split(' ');
    let word = words.next()?;
    let history = words.next().map(|word| word.parse::<ReplicationId>().ok());
    match (word, history, at) {
        ("+FULLRESYNC", Some(history), _) => {
            let offset = words.next()?.parse().ok()?;
            Some(Start::Full(ReplicationOffset { history: history?, offset }))
        }
        ("+CONTINUE", None, Some(at)) => Some(Start::Continue(at)),
        ("+CONTINUE", Some(history), Some(at)) => {
            Some(Start::Continue(ReplicationOffset { history: history?, ..at }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(history: char, offset: u64) -> ReplicationOffset {
        let history = history.to_string().repeat(40).parse().expect("an ID");
        ReplicationOffset { history, offset }
    }

    #[test]
    fn the_source_says_how_it_goes_on() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let ours = Some(at('a', 7));
        let cases = [
            (format!("+FULLRESYNC {b} 12"), None, Some(Start::Full(at('b', 12)))),
            (format!("+FULLRESYNC {b} 12"), ours, Some(Start::Full(at('b', 12)))),
            ("+CONTINUE".to_owned(), ours, Some(Start::Continue(at('a', 7)))),
            (format!("+CONTINUE {b}"), ours, Some(Start::Continue(at('b', 7)))),
            (format!("+CONTINUE {a}"), None, None),
            ("+CONTINUE x".to_owned(), ours, None),
            (format!("+FULLRESYNC {b}"), ours, None),
            ("+OK".to_owned(), ours, None),
        ];
        for (answer, at, wanted) in cases {
            assert_eq!(understand(&answer, at), wanted, "{answer}");
        }
    }
}
