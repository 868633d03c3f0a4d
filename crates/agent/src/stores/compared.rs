//! What a comparison says, whatever the kind of its store.

use mainstay_core::Position;
use mainstay_stores::{postgres, redis};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Compared {
    Postgres(postgres::compare::Comparison),
    Redis(redis::compare::Comparison),
}

/// How far one has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Progress {
    Postgres(postgres::compare::Progress),
    Redis(redis::compare::Progress),
}

impl Compared {
    pub fn is_equal(&self) -> bool {
        match self {
            Compared::Postgres(it) => it.equal,
            Compared::Redis(it) => it.equal,
        }
    }

    /// Where both sides were read, by the source's history; the end of it where they were read
    /// while it went on.
    pub fn position(&self) -> Position {
        match self {
            Compared::Postgres(it) => Position::Postgres(it.position),
            Compared::Redis(it) => Position::Redis(it.to),
        }
    }

    /// The offset at which reading began, where that was another than the position.
    pub fn since(&self) -> Option<u64> {
        match self {
            Compared::Postgres(_) => None,
            Compared::Redis(it) => (it.from != it.to).then_some(it.from.offset),
        }
    }

    /// Rows, or keys, that differ.
    pub fn differences(&self) -> u64 {
        match self {
            Compared::Postgres(it) => it.tables.iter().map(|table| table.differences).sum(),
            Compared::Redis(it) => it.differences,
        }
    }

    /// Tables that differ; none of a store without tables.
    pub fn tables(&self) -> u64 {
        match self {
            Compared::Postgres(it) => {
                it.tables.iter().filter(|table| !table.is_equal()).count() as u64
            }
            Compared::Redis(_) => 0,
        }
    }

    /// Why nothing is known, where nothing differs for certain.
    pub fn unknown(&self) -> Option<String> {
        let Compared::Redis(it) = self else { return None };
        let such_as =
            it.changing.first().map_or_else(String::new, |key| format!(", such as {key}"));
        let keys = if it.unsettled == 1 { "key" } else { "keys" };
        let unsettled = it.answer == redis::compare::Answer::Unknown;
        unsettled.then(|| format!("{} {keys} changed at every look{such_as}", it.unsettled))
    }
}

impl Progress {
    /// What was read, and all there is, by a measure of the kind.
    pub fn parts(&self) -> (u64, u64) {
        match self {
            Progress::Postgres(it) => (it.bytes, it.total_bytes),
            Progress::Redis(it) => (it.keys_done, it.keys),
        }
    }
}
