//! The log of one worker: a JSON line when a transfer is first sent, and one when it ends.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// When something happened: on the wall clock (microseconds since the Unix epoch), and on
/// `CLOCK_MONOTONIC`, which no one sets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub wall_us: i64,
    pub mono_us: i64,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            wall_us: micros_of(nix::time::ClockId::CLOCK_REALTIME),
            mono_us: micros_of(nix::time::ClockId::CLOCK_MONOTONIC),
        }
    }
}

fn micros_of(clock: nix::time::ClockId) -> i64 {
    // Neither clock can be missing on Linux (clock_gettime(2)).
    clock.now().map(|t| t.tv_sec() * 1_000_000 + t.tv_nsec() / 1_000).unwrap_or_default()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Written before the first byte of the transfer leaves.
    Sent {
        id: Uuid,
        from: i64,
        to: i64,
        amount: String,
        #[serde(flatten)]
        at: Moment,
    },
    /// The bank said that the transfer is made.
    Acknowledged {
        id: Uuid,
        from: i64,
        to: i64,
        amount: String,
        number: i64,
        /// Name of the address that answered.
        gateway: String,
        status: u16,
        /// How often it was sent, this time included.
        attempts: u32,
        sent: Moment,
        #[serde(flatten)]
        at: Moment,
    },
    /// One attempt came to nothing; the same transfer will be sent again.
    Retried {
        id: Uuid,
        gateway: String,
        why: String,
        #[serde(flatten)]
        at: Moment,
    },
    /// The client will not try any more.
    GivenUp {
        id: Uuid,
        attempts: u32,
        why: String,
        #[serde(flatten)]
        at: Moment,
    },
}

pub struct LogWriter {
    file: File,
}

impl LogWriter {
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::options().append(true).create(true).open(path)? })
    }

    /// One `write` a line, so that a killed client leaves at most its last line cut short.
    pub fn write(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}

/// Reads a folder of logs while they are written.
pub struct Tail {
    folder: PathBuf,
    /// How far each file has been read: always up to a line's end.
    read: BTreeMap<PathBuf, u64>,
}

impl Tail {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, read: BTreeMap::new() }
    }

    /// Appends every line that has been completed since the last time. A line without its line
    /// feed is still being written.
    pub fn read_new<L: DeserializeOwned>(&mut self, lines: &mut Vec<L>) -> std::io::Result<()> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // No client has begun yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let at = self.read.entry(path.clone()).or_default();
                *at = read_from(&path, *at, lines)?;
            }
        }
        Ok(())
    }
}

fn read_from<L: DeserializeOwned>(
    path: &Path,
    mut at: u64,
    lines: &mut Vec<L>,
) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    while reader.read_line(&mut text)? > 0 && text.ends_with('\n') {
        at += text.len() as u64;
        lines.push(serde_json::from_str(&text).map_err(|error| {
            std::io::Error::other(format!("{}: not a line of a log: {error}", path.display()))
        })?);
        text.clear();
    }
    Ok(at)
}
