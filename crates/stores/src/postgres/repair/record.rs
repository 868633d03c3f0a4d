//! What a repair did, row by row: a file of JSON lines, which is the way back as well.

use crate::postgres::fault::Fault;
use crate::postgres::salvage::Columns;
use crate::postgres::text::as_text;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// One row of the target: what it was, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// `schema.table`.
    pub table: String,
    pub key: Columns,
    /// None where the target had no such row.
    pub before: Option<Columns>,
    /// None where the source has no such row.
    pub after: Option<Columns>,
    /// Both sides were read as they were here, by the source's history.
    pub position: Lsn,
}

impl Swap {
    /// The key's values, in the order of its columns.
    pub fn key_texts(&self) -> Vec<String> {
        let values = self.key.0.iter();
        values.map(|(_, value)| as_text(value).unwrap_or_default().to_owned()).collect()
    }
}

/// Takes rows in, and can forget those that were not kept yet.
pub struct Record {
    out: BufWriter<File>,
    kept: u64,
}

impl Record {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::create(path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { out: BufWriter::new(file), kept: 0 })
    }

    pub(super) fn add(&mut self, swap: &Swap) -> Result<(), Fault> {
        serde_json::to_writer(&mut self.out, swap)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(Fault::RepairUnwritable)
    }

    /// What was added since the last call is durable when this returns.
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        let mut keep = || {
            self.out.flush()?;
            self.out.get_ref().sync_data()?;
            self.out.stream_position()
        };
        self.kept = keep().map_err(Fault::RepairUnwritable)?;
        Ok(())
    }

    /// Forgets what was not kept.
    pub(super) fn forget(&mut self) -> Result<(), Fault> {
        let mut forget = || {
            self.out.flush()?;
            self.out.get_ref().set_len(self.kept)?;
            self.out.seek(SeekFrom::Start(self.kept)).map(drop)
        };
        forget().map_err(Fault::RepairUnwritable)
    }
}
