//! What of the source's snapshot goes to the target, and how.

use super::batch::Batch;
use super::failure::LinkError;
use super::keys::Filter;
use crate::redis::reply;
use mainstay_wire::rdb::{Command, Entry, Event, Format, Rebuild, RebuildError, rebuild};

pub(super) struct Values {
    /// What the target reads.
    target: Format,
    /// What the target calls itself, for people.
    server: String,
    source: Option<Format>,
    /// A value that comes in parts; none when it is not replicated.
    large: Option<Rebuild>,
    pub keys: u64,
    /// What is written is kept here for its memory.
    raw: Vec<u8>,
}

impl Values {
    pub fn new(target: Format, server: String) -> Self {
        Self { target, server, source: None, large: None, keys: 0, raw: Vec::new() }
    }

    /// Writes into the batch what the event comes to.
    pub fn take(
        &mut self,
        event: Event,
        filter: &Filter,
        batch: &mut Batch,
        place: &str,
    ) -> Result<(), LinkError> {
        match event {
            Event::Begin(format) => self.source = Some(format),
            Event::Aux { .. } | Event::End => {}
            Event::Database(db) => {
                batch.db = u32::try_from(db).map_err(|_| LinkError::NotUnderstood {
                    place: place.to_owned(),
                    what: format!("its snapshot has a database {db}"),
                })?;
            }
            Event::Function(code) => {
                self.raw.clear();
                reply::encode(&mut self.raw, &[b"FUNCTION", &b"LOAD"[..], b"REPLACE", &code]);
                batch.command(&self.raw);
            }
            Event::Entry(entry) if filter.excludes(&entry.key.name) => {}
            Event::Entry(entry) if entry.value.accepted_by(self.target) => {
                self.keys += 1;
                self.restore(&entry, batch);
            }
            Event::Entry(entry) => {
                self.keys += 1;
                let commands = rebuild(&entry, self.target);
                self.commands(commands.map_err(|e| self.refused(e, place))?, batch);
            }
            Event::Large { key, kind } if !filter.excludes(&key.name) => {
                self.keys += 1;
                self.large = Some(Rebuild::of(key, kind, self.target));
            }
            Event::Large { .. } => self.large = None,
            Event::Part(part) => {
                if let Some(large) = &mut self.large {
                    let commands = large.part(part);
                    self.commands(commands.map_err(|e| self.refused(e, place))?, batch);
                }
            }
            Event::LargeEnd => {
                let commands = self.large.take().map(Rebuild::end);
                self.commands(commands.unwrap_or_default(), batch);
            }
        }
        Ok(())
    }

    fn commands(&mut self, commands: Vec<Command>, batch: &mut Batch) {
        for command in commands {
            self.raw.clear();
            reply::encode(&mut self.raw, &command);
            batch.command(&self.raw);
        }
    }

    /// As the source holds it, with everything that is kept about the key.
    fn restore(&mut self, entry: &Entry, batch: &mut Batch) {
        let expires = entry.key.expires_at.unwrap_or(0).to_string();
        let payload = entry.value.payload();
        let kept = match (entry.key.idle, entry.key.frequency) {
            (Some(idle), _) => Some(("IDLETIME", idle.to_string())),
            (None, Some(frequency)) => Some(("FREQ", frequency.to_string())),
            (None, None) => None,
        };
        self.raw.clear();
        let mut command: Vec<&[u8]> =
            vec![b"RESTORE", &entry.key.name, expires.as_bytes(), &payload, b"REPLACE", b"ABSTTL"];
        if let Some((name, value)) = &kept {
            command.extend([name.as_bytes(), value.as_bytes()]);
        }
        reply::encode(&mut self.raw, &command);
        batch.command(&self.raw);
    }

    fn refused(&self, error: RebuildError, place: &str) -> LinkError {
        let place = place.to_owned();
        match error {
            RebuildError::FieldExpiry(_) => LinkError::TooNew {
                place,
                target: self.server.clone(),
                source_version: self.source.map_or(0, |format| format.version),
                target_version: self.target.version,
                what: error.to_string(),
            },
            RebuildError::Damaged(_) => LinkError::NotUnderstood { place, what: error.to_string() },
        }
    }
}
