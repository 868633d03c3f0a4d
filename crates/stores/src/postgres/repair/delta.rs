//! Making a target equal to its source where the history between them is not whole: by touching
//! only the rows that differ.
//!
//! A new slot is made at the source. Its snapshot is compared with the target, which nobody else
//! changes. Rows that differ are recorded as they were at both sides, and become the source's; the
//! link begins at the slot, exactly where both were made equal.
//!
//! Doing it again after a crash is safe. Each attempt has a record of its own, since what an earlier
//! one swapped does not differ any more.

use super::keys::{Reader, Writer};
use super::swap::Both;
use super::{DOING, Mode, Record, Repaired, Sides, one};
use crate::postgres::catalog::{self, Table};
use crate::postgres::compare::{self, Comparison, Pace};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use crate::postgres::slot;
use crate::postgres::snapshot::{Snapshot, reading};
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tokio_postgres::types::PgLsn;

/// What a delta did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Both sides are equal here, and the link begins here.
    pub from: Lsn,
    pub repaired: Repaired,
}

/// The rows that differ, as of the new slot's beginning. The source is seen so as long as this is
/// kept.
pub struct Found {
    sides: Sides,
    snapshot: Snapshot,
    keys: PathBuf,
    /// Rows of the source that were read.
    pub compared: u64,
    pub differing: u64,
}

/// The target's link does not run, and the application does not write there. `keys` is a file for
/// the keys of the rows that differ. With a slot's name, that slot is made anew, and the link can
/// begin there.
pub async fn find(sides: &Sides, slot: Option<&str>, keys: &Path) -> Result<Found, Fault> {
    let snapshot = match slot {
        Some(slot) => {
            slot::drop_slot(&sides.source, slot).await?;
            Snapshot::of_new_slot(&sides.source, "delta", slot).await?
        }
        None => Snapshot::take(&sides.source, "delta").await?,
    };
    let (snapshot, comparison) = compare(sides, snapshot, keys).await?;
    let tables = comparison.tables.iter();
    Ok(Found {
        sides: sides.clone(),
        snapshot,
        keys: keys.to_owned(),
        compared: tables.clone().map(|table| table.rows_source).sum(),
        differing: tables.map(|table| table.differences).sum(),
    })
}

impl Found {
    /// Records the rows of both sides, and changes nothing.
    pub async fn tell(&self, record: &mut Record) -> Result<Repaired, Fault> {
        self.each(Mode::DryRun, record).await
    }

    /// Records what only the target has, and changes nothing.
    pub async fn salvage(&self, record: &mut Record) -> Result<Repaired, Fault> {
        self.each(Mode::Salvage, record).await
    }

    /// Makes the rows those of the source, and has the link begin at the new slot.
    pub async fn swap(self, epoch: Epoch, record: &mut Record) -> Result<Delta, Fault> {
        let repaired = self.each(Mode::Swap, record).await?;
        let from = self.snapshot.position;
        set_position(&self.sides, epoch, from).await?;
        self.forget_keys()?;
        Ok(Delta { from, repaired })
    }

    /// Removes the file of the keys.
    pub fn forget_keys(&self) -> Result<(), Fault> {
        std::fs::remove_file(&self.keys).map_err(Fault::DifferencesUnwritable)
    }

    async fn each(&self, mode: Mode, record: &mut Record) -> Result<Repaired, Fault> {
        let file = File::open(&self.keys).map_err(Fault::DifferencesUnwritable)?;
        let mut keys = Reader::new(BufReader::new(file));
        let mut repaired = Repaired::default();
        // There is no link that could move it.
        let both = Both { sides: &self.sides, snapshot: &self.snapshot, still: &|| true };
        loop {
            let batch = keys.next(super::ONCE)?;
            if batch.is_empty() {
                return Ok(repaired);
            }
            one(&both, mode, &batch, record, &mut repaired).await?;
        }
    }
}

/// Whether the target has tables of the application at all.
pub async fn has_tables(sides: &Sides) -> Result<bool, Fault> {
    let session = Session::open(&sides.target, "delta").await?;
    Ok(catalog::tables(&session).await?.values().any(Table::is_of_application))
}

/// Nothing is known of the link any more, at either side: when it begins, it copies everything.
pub async fn begin_anew(sides: &Sides, slot: &str) -> Result<(), Fault> {
    slot::drop_slot(&sides.source, slot).await?;
    let session = Session::open(&sides.target, "delta").await?;
    for sql in [
        "DELETE FROM mainstay.put_right WHERE link = $1",
        "DELETE FROM mainstay.link WHERE name = $1",
    ] {
        session.execute(DOING, sql, &[&sides.link]).await?;
    }
    Ok(())
}

async fn compare(
    sides: &Sides,
    Snapshot { position, session }: Snapshot,
    keys: &Path,
) -> Result<(Snapshot, Comparison), Fault> {
    let file = File::create(keys).map_err(Fault::DifferencesUnwritable)?;
    let mut writer = Writer::new(file, None);
    let target = reading(&sides.target, "delta").await?;
    let (source, target) = tokio::try_join!(compare::side(session), compare::side(target))?;
    let comparison =
        compare::between(position, Pace::Full, (&source, &target), &mut writer).await?;
    writer.finish()?;
    refuse(&comparison)?;
    Ok((Snapshot { position, session: source.session }, comparison))
}

/// Before anything is changed.
fn refuse(comparison: &Comparison) -> Result<(), Fault> {
    let mut tables = comparison.tables.iter();
    match tables.find_map(|table| Some((&table.table, table.beyond_repair()?))) {
        Some((table, why)) => Err(Fault::NoDelta { table: table.clone(), why }),
        None => Ok(()),
    }
}

/// Of a history that the link learns when it begins.
async fn set_position(sides: &Sides, epoch: Epoch, from: Lsn) -> Result<(), Fault> {
    let session = Session::open(&sides.target, "delta").await?;
    let forget = "DELETE FROM mainstay.put_right WHERE link = $1";
    session.execute(DOING, forget, &[&sides.link]).await?;
    let sql = "INSERT INTO mainstay.link (name, epoch, position) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET epoch = $2, position = $3, commit_micros = NULL, \
                   source_system = NULL, source_timeline = NULL, source_history = NULL";
    let epoch = crate::postgres::fence::number(epoch);
    session.execute(DOING, sql, &[&sides.link, &epoch, &PgLsn::from(from.0)]).await.map(drop)
}
