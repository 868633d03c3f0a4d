//! Reading and verifying a ledger offline.

use super::entry::{Entry, NO_PREVIOUS, hash};
use mainstay_core::SiteName;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    /// Hash of the newest entry.
    pub head: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("MS-AGENT-006: cannot read the ledger {path}: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error(
        "MS-AGENT-007: the ledger {path} is broken at entry {number}: {what}; entries before it \
         are sound; keep the file as it is and compare its head with the ones that other sites \
         recorded (`mainstay ledger show --kind head`)"
    )]
    Broken { path: PathBuf, number: u64, what: &'static str },
}

/// Walks the whole chain, in constant memory.
pub fn verify(path: &Path) -> Result<Verified, LedgerError> {
    let mut verified = Verified { entries: 0, head: NO_PREVIOUS.to_owned() };
    walk(path, |entry| {
        let broken =
            |what| LedgerError::Broken { path: path.to_owned(), number: entry.number, what };
        if entry.number != verified.entries + 1 {
            return Err(broken("an entry before it is missing"));
        }
        if entry.previous != verified.head {
            return Err(broken("it does not follow from the entry before"));
        }
        if entry.hash != hash(&entry) {
            return Err(broken("its text was changed"));
        }
        verified = Verified { entries: entry.number, head: entry.hash };
        Ok(())
    })?;
    Ok(verified)
}

/// The newest `last` entries, oldest first, of one kind or of all.
pub fn entries(path: &Path, kind: Option<&str>, last: usize) -> Result<Vec<Entry>, LedgerError> {
    let mut newest = std::collections::VecDeque::new();
    walk(path, |entry| {
        if kind.is_none_or(|kind| kind == entry.kind) {
            newest.push_back(entry);
            if newest.len() > last {
                newest.pop_front();
            }
        }
        Ok(())
    })?;
    Ok(newest.into())
}

fn walk(
    path: &Path,
    mut visit: impl FnMut(Entry) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let unreadable = |why: rusqlite::Error| LedgerError::Unreadable {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    let mut statement = connection
        .prepare(
            "SELECT number, micros, site, kind, application, body, previous, hash
             FROM entry ORDER BY number",
        )
        .map_err(unreadable)?;
    let mut rows = statement.query([]).map_err(unreadable)?;
    while let Some(row) = rows.next().map_err(unreadable)? {
        visit(read(row).map_err(unreadable)?)?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let site: String = row.get(2)?;
    Ok(Entry {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        micros: row.get(1)?,
        site: SiteName::new(site).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
        })?,
        kind: row.get(3)?,
        application: row.get(4)?,
        body: row.get(5)?,
        previous: row.get(6)?,
        hash: row.get(7)?,
    })
}
