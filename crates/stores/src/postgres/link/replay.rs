//! Changes of a spooled transaction, read back piece by piece.

use super::assemble::Spooled;
use super::described::{Described, NotUnderstood};
use super::spool::SpoolReader;
use super::unit::Change;
use mainstay_wire::pgoutput::{DecodeError, Decoder, Message};
use std::collections::HashSet;
use std::io;

/// Bytes of changes in memory at once.
const PIECE: usize = 4 * 1024 * 1024;
/// Changes in memory at once.
const CHANGES: usize = 40_000;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    NotUnderstood(#[from] NotUnderstood),
}

pub(super) struct Replay {
    reader: SpoolReader,
    decoder: Decoder,
    described: Described,
    rolled_back: HashSet<u32>,
}

impl Replay {
    pub fn of(spooled: &Spooled) -> Self {
        let streamed = spooled.streamed.as_ref();
        Self {
            reader: spooled.spool.read(),
            decoder: Decoder::default(),
            described: spooled.described.clone(),
            rolled_back: streamed.map(|s| s.rolled_back.clone()).unwrap_or_default(),
        }
    }

    /// The next changes; None at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Change>>, ReplayError> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE && changes.len() < CHANGES {
            let Some((subtransaction, raw)) = self.reader.next().await? else { break };
            let message = self.decoder.decode(raw)?.message;
            let size = message.size();
            if let Some(change) = self.change(subtransaction, message)? {
                changes.push(change);
                bytes += size;
            }
        }
        Ok((!changes.is_empty()).then_some(changes))
    }

    /// What was described within a subtransaction that was rolled back holds for what follows:
    /// the source does not describe it again.
    fn change(
        &mut self,
        subtransaction: u32,
        message: Message,
    ) -> Result<Option<Change>, ReplayError> {
        match message {
            Message::Relation(relation) => {
                self.described.describe(relation);
                Ok(None)
            }
            Message::Type(name) => {
                self.described.name_type(name);
                Ok(None)
            }
            Message::StreamStart { .. } | Message::Commit(_) | Message::Origin { .. } => Ok(None),
            _ if self.rolled_back.contains(&subtransaction) => Ok(None),
            Message::Logical(message) => Ok(self.described.message(&message)?),
            change => Ok(self.described.change(change)?),
        }
    }
}
