//! What the source's commands mean for the target.

use super::batch::Batch;
use super::failure::LinkError;
use super::keys::{Filter, Positions, Table};
use super::record;
use crate::redis::reply;
use std::ops::Range;

/// What is wrong with a command that cannot be replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NotUnderstood(String),
    Mixed { command: String, keys: String },
}

impl Refusal {
    pub fn at(self, place: &str) -> LinkError {
        let place = place.to_owned();
        match self {
            Refusal::NotUnderstood(what) => LinkError::NotUnderstood { place, what },
            Refusal::Mixed { command, keys } => LinkError::Mixed { place, command, keys },
        }
    }
}

/// What the stream is in the middle of, and what it must not be applied without.
pub(super) struct Commands {
    table: Table,
    pub filter: Filter,
    /// Between the source's MULTI and EXEC.
    pub inside: bool,
    /// The source asked how far the target is.
    pub asked: bool,
    name: Vec<u8>,
}

/// A command whose bytes and arguments are all there.
#[derive(Clone, Copy)]
pub(super) struct Command<'a> {
    pub raw: &'a [u8],
    pub arguments: &'a [Range<usize>],
}

impl<'a> Command<'a> {
    fn argument(&self, at: usize) -> Option<&'a [u8]> {
        self.arguments.get(at).and_then(|range| self.raw.get(range.clone()))
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        std::str::from_utf8(self.argument(at)?).ok()
    }
}

impl Commands {
    pub fn new(table: Table, filter: Filter) -> Self {
        Self { table, filter, inside: false, asked: false, name: Vec::new() }
    }

    /// Writes into the batch what the command comes to at the target.
    pub fn take(&mut self, command: Command<'_>, batch: &mut Batch) -> Result<(), Refusal> {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        name.extend(command.argument(0).unwrap_or_default().iter().map(u8::to_ascii_lowercase));
        let taken = self.take_named(&name, command, batch);
        self.name = name;
        // Its position is written also when nothing else comes of it.
        batch.open();
        if !self.inside && !matches!(&self.name[..], b"ping" | b"replconf" | b"select") {
            batch.count_transaction();
        }
        taken
    }

    fn take_named(
        &mut self,
        name: &[u8],
        command: Command<'_>,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        match name {
            b"ping" => {}
            b"replconf" => self.asked = true,
            b"select" => batch.db = database(command, 1)?,
            b"multi" => self.inside = true,
            b"exec" => self.inside = false,
            b"flushall" => batch.script(0, record::FLUSH, "FLUSHALL"),
            b"flushdb" if batch.db == 0 => batch.script(0, record::FLUSH, "FLUSHDB"),
            b"swapdb" => match (database(command, 1)?, database(command, 2)?) {
                (0, other) | (other, 0) => batch.script(0, record::SWAP, &other.to_string()),
                _ => batch.command(command.raw),
            },
            _ => return self.write(name, command, batch),
        }
        Ok(())
    }

    /// A command that the target carries out as the source did.
    fn write(&self, name: &[u8], command: Command<'_>, batch: &mut Batch) -> Result<(), Refusal> {
        let positions = self.find(name)?;
        let is_excluded = |at: usize| command.argument(at).is_some_and(|k| self.filter.excludes(k));
        let keys = || positions.of(command.arguments.len());
        if !keys().any(is_excluded) {
            batch.command(command.raw);
            return Ok(());
        }
        if keys().all(is_excluded) {
            return Ok(());
        }
        let kept: Vec<usize> = keys().filter(|at| !is_excluded(*at)).collect();
        let rebuilt: Vec<&[u8]> = match name {
            b"del" | b"unlink" => {
                let keys = kept.iter().filter_map(|at| command.argument(*at));
                std::iter::once(name).chain(keys).collect()
            }
            b"mset" => {
                let both = kept.iter().flat_map(|at| [*at, *at + 1]);
                let items = both.filter_map(|at| command.argument(at));
                std::iter::once(name).chain(items).collect()
            }
            // What is renamed to an excluded key is gone at the target.
            b"rename" if kept == [1] => {
                vec![b"del", command.argument(1).unwrap_or_default()]
            }
            _ => return Err(mixed(name, command, positions)),
        };
        let mut raw = Vec::new();
        reply::encode(&mut raw, &rebuilt);
        batch.command(&raw);
        Ok(())
    }

    /// The beginning of a command that is too large to be kept; its arguments as far as they are
    /// there. True when it goes to the target.
    pub fn begin_large(&self, start: Command<'_>, batch: &mut Batch) -> Result<bool, Refusal> {
        let name = start.argument(0).unwrap_or_default().to_ascii_lowercase();
        let positions = self.find(&name)?;
        let one = positions.has_one_key() || (self.filter.is_plain() && positions.has_keys());
        if positions.has_keys() && !one {
            let name = String::from_utf8_lossy(&name).into_owned();
            return Err(Refusal::NotUnderstood(format!(
                "{name} is too large to look for excluded keys in it"
            )));
        }
        let first = positions.of(start.arguments.len()).next();
        let Some(key) = first.and_then(|at| start.argument(at)) else {
            let what = "a command whose key alone is too large".to_owned();
            return if positions.has_keys() { Err(Refusal::NotUnderstood(what)) } else { Ok(true) };
        };
        let goes = !self.filter.excludes(key);
        if goes {
            batch.command(b"");
        }
        Ok(goes)
    }

    fn find(&self, name: &[u8]) -> Result<Positions, Refusal> {
        let shown = || String::from_utf8_lossy(name).into_owned();
        match self.table.find(name) {
            Some(positions) if positions.admin => Err(Refusal::NotUnderstood(format!(
                "its stream has {}, which no server replicates",
                shown()
            ))),
            Some(positions) => Ok(positions),
            None => Err(Refusal::NotUnderstood(format!(
                "its stream has the command {}, which its COMMAND does not tell of",
                shown()
            ))),
        }
    }
}

fn database(command: Command<'_>, at: usize) -> Result<u32, Refusal> {
    let number = command.text(at).and_then(|text| text.parse().ok());
    number
        .ok_or_else(|| Refusal::NotUnderstood("its stream has a database of no number".to_owned()))
}

fn mixed(name: &[u8], command: Command<'_>, positions: Positions) -> Refusal {
    let keys = positions.of(command.arguments.len()).filter_map(|at| command.argument(at));
    let shown = keys.take(5).map(|key| key[..key.len().min(60)].escape_ascii().to_string());
    Refusal::Mixed {
        command: String::from_utf8_lossy(name).to_ascii_uppercase(),
        keys: shown.collect::<Vec<_>>().join(", "),
    }
}
