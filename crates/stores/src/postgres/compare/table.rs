//! One table at both sides.

use super::digest::{self, Seeds};
use super::encoding;
use super::merge::{self, Found};
use super::ranges::Ranges;
use super::settled::Bytes;
use super::shape::{self, Shapes};
use super::{Listener, TableComparison, interrupted, scan};
use crate::postgres::catalog::Table;
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use std::collections::BTreeMap;

/// A database as it is read: every statement sees it as of one position.
pub(in crate::postgres) struct Side {
    pub session: Session,
    pub tables: BTreeMap<String, Table>,
    pub shapes: Shapes,
}

/// Compares one table, and says how many bytes were read for it.
pub(super) async fn compare(
    name: &str,
    (source, target): (&Side, &Side),
    bytes: Bytes,
    listener: &mut dyn Listener,
) -> Result<(TableComparison, u64), Fault> {
    let unlike = |why: String| TableComparison {
        table: name.to_owned(),
        unlike: Some(why),
        ..TableComparison::default()
    };
    let missing = |side: &str| unlike(format!("the table is missing at the {side}"));
    match (source.tables.get(name), target.tables.get(name)) {
        (Some(here), Some(there)) => {
            match shape::unlike((&source.shapes, here.oid), (&target.shapes, there.oid)) {
                Some(why) => Ok((unlike(why), 0)),
                None => released(here, there, (source, target), bytes, listener).await,
            }
        }
        (Some(_), None) => Ok((missing("target"), 0)),
        (None, _) => Ok((missing("source"), 0)),
    }
}

/// A table is locked while it is read, and not any more afterwards: whoever wants to change it waits
/// for its own reading only, not for that of the whole database.
pub(super) struct Locked<'a>([&'a Session; 2]);

impl<'a> Locked<'a> {
    pub async fn begin(sides: [&'a Session; 2]) -> Result<Self, Fault> {
        for session in sides {
            session.batch("begin to compare a table", "SAVEPOINT one_table").await?;
        }
        Ok(Self(sides))
    }

    pub async fn end(self) -> Result<(), Fault> {
        for session in self.0 {
            let end = "ROLLBACK TO SAVEPOINT one_table; RELEASE SAVEPOINT one_table";
            session.batch("end comparing a table", end).await?;
        }
        Ok(())
    }
}

async fn released(
    here: &Table,
    there: &Table,
    (source, target): (&Side, &Side),
    bytes: Bytes,
    listener: &mut dyn Listener,
) -> Result<(TableComparison, u64), Fault> {
    let locked = Locked::begin([&source.session, &target.session]).await?;
    let compared = rows(here, there, (&source.session, &target.session), bytes, listener).await?;
    locked.end().await?;
    Ok(compared)
}

/// The rows of a table that both sides have. The same statements run at both of them, so that
/// their texts mean the same.
async fn rows(
    table: &Table,
    there: &Table,
    (source, target): (&Session, &Session),
    bytes: Bytes,
    listener: &mut dyn Listener,
) -> Result<(TableComparison, u64), Fault> {
    let ranges = Ranges::of(source, table, bytes).await?;
    let (row, seeds) = (encoding::row(source, table, bytes).await?, Seeds::random());
    let (left, right) = tokio::try_join!(
        digest::read(source, table, &ranges, &row, seeds),
        digest::read(target, table, &ranges, &row, seeds)
    )?;
    tokio::try_join!(still_the_same(source, table), still_the_same(target, there))?;
    let mut comparison = TableComparison {
        table: table.name.clone(),
        rows_source: left.rows(),
        rows_target: right.rows(),
        keyless: table.key.is_empty(),
        ..TableComparison::default()
    };
    let differing = left.differing(&right);
    if !differing.is_empty() {
        let within = ranges.within(&differing);
        let (left, right) = tokio::try_join!(
            scan::begin(source, table, &within, bytes),
            scan::begin(target, table, &within, bytes)
        )?;
        let mut found = Found { table, comparison: &mut comparison, listener };
        merge::merge(&mut found, left, right).await?;
        if comparison.differences == 0 {
            let why =
                format!("the rows of {} add up to different sums and read the same", table.name);
            return Err(interrupted(source, why));
        }
    }
    Ok((comparison, left.bytes + right.bytes))
}

/// A table that was emptied or written anew since the snapshot was taken appears empty in it
/// (PostgreSQL manual, "MVCC Caveats"). The table is locked by now, so that this cannot happen
/// after the check.
pub(super) async fn still_the_same(session: &Session, table: &Table) -> Result<(), Fault> {
    const SQL: &str = "SELECT c.relfilenode = pg_catalog.pg_relation_filenode(c.oid) \
                       FROM pg_catalog.pg_class c WHERE c.oid = $1";
    let row = session.maybe_row("look at a table", SQL, &[&table.oid]).await;
    let row = row.map_err(|fault| interrupted(session, fault.to_string()))?;
    if row.and_then(|row| row.get::<_, Option<bool>>(0)) == Some(true) {
        return Ok(());
    }
    let why = format!("{} was emptied or written anew meanwhile", table.name);
    Err(interrupted(session, why))
}
