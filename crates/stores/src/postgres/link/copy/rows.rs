//! Rows of all tables, several pieces at a time, as of one snapshot of the source.

use super::super::failure::{LinkError, Verdict};
use super::super::shared::Shared;
use super::plan::Piece;
use super::progress::Progress;
use super::record;
use super::tables::SourceTable;
use crate::postgres::connect::place;
use crate::postgres::replication::copy::{CopyError, CopySession, pump};
use crate::postgres::replication::{ReplicationError, quote_literal};
use mainstay_core::position::Lsn;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Nobody waits for the disk: the link's position is written, durably, behind all of it.
const TARGET: &str = "SET session_replication_role = replica; SET synchronous_commit = off; \
                      SET row_security = off";

/// What all workers share.
struct Work<'a> {
    shared: &'a Shared,
    progress: &'a Progress<'a>,
    /// The snapshot and its position.
    snapshot: &'a str,
    at: Lsn,
    waiting: Mutex<VecDeque<Piece>>,
    /// Of tables of which some ranges are there: rows and bytes.
    parts: Mutex<HashMap<String, (u64, u64)>>,
    /// Tables that were rewritten at the source since the snapshot.
    rewritten: Mutex<BTreeSet<String>>,
}

pub(super) async fn copy(
    shared: &Shared,
    progress: &Progress<'_>,
    pieces: VecDeque<Piece>,
    snapshot: &str,
    at: Lsn,
) -> Result<(), LinkError> {
    let workers = pieces.len().min(shared.plan.workers);
    let (waiting, parts, rewritten) = (Mutex::new(pieces), Mutex::default(), Mutex::default());
    let work = Work { shared, progress, snapshot, at, waiting, parts, rewritten };
    let running = (0..workers).map(|_| worker(&work));
    futures::future::try_join_all(running).await?;
    let rewritten = work.rewritten.into_inner().unwrap_or_else(PoisonError::into_inner);
    match rewritten.first() {
        None => Ok(()),
        Some(table) => Err(LinkError::Sql {
            place: place(&shared.spec.source),
            doing: format!("copy {table}"),
            why: "it was rewritten since the snapshot; a newer snapshot is taken".to_owned(),
            sqlstate: None,
        }),
    }
}

async fn worker(work: &Work<'_>) -> Result<(), LinkError> {
    let (mut source, mut target) = open(work).await?;
    loop {
        let next = work.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(piece) = next else { return Ok(()) };
        let copied = copy_piece(work, &mut source, &mut target, &piece).await;
        copied.map_err(|error| failed(work, &piece.table, error))?;
    }
}

async fn open(work: &Work<'_>) -> Result<(CopySession, CopySession), LinkError> {
    let spec = &work.shared.spec;
    let mut source = CopySession::open(&spec.source, &format!("copy {}", spec.slot())).await?;
    // A range is read by its pages' numbers, never by reading the whole table for it.
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}; \
         SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0; \
         SET LOCAL jit = off; SET LOCAL row_security = off",
        quote_literal(work.snapshot)
    );
    source.run(&begin).await.map_err(|error| without_snapshot(work, error))?;
    let mut target = CopySession::open(&spec.target, &spec.apply_session()).await?;
    target.run(TARGET).await?;
    Ok((source, target))
}

/// As for the list of tables: the next attempt takes another snapshot.
fn without_snapshot(work: &Work<'_>, error: ReplicationError) -> LinkError {
    let (place, doing) = (place(&work.shared.spec.source), "read the slot's snapshot".to_owned());
    match error {
        ReplicationError::Refused { why, sqlstate, .. } => {
            super::snapshot_gone(LinkError::Sql { place, doing, why, sqlstate: Some(sqlstate) })
        }
        other => other.into(),
    }
}

/// One piece in one transaction of the target. A table that is copied in one piece is recorded in
/// the same transaction; one in ranges behind the last of them.
async fn copy_piece(
    work: &Work<'_>,
    source: &mut CopySession,
    target: &mut CopySession,
    piece: &Piece,
) -> Result<(), CopyError> {
    let (out, into) = statements(piece);
    let link = work.shared.spec.name();
    let empty = if piece.range.is_none() { empty_first(&piece.table) } else { String::new() };
    target.run(&format!("BEGIN; {empty}")).await.map_err(CopyError::Target)?;
    source.run("SAVEPOINT piece").await.map_err(CopyError::Source)?;
    let (sent, shown) = (AtomicU64::new(0), AtomicU64::new(0));
    let moved = |bytes| {
        sent.fetch_add(bytes, Ordering::Relaxed);
        show(work, piece, bytes, &shown);
    };
    let rows = pump((source, &out), (target, &into), moved).await?;
    let bytes = sent.into_inner();
    if !is_unchanged(source, &piece.table).await.map_err(CopyError::Source)? {
        work.give_up(&piece.table.name);
        return target.run("ROLLBACK").await.map_err(CopyError::Target);
    }
    let record = match &piece.range {
        None => record::copied(&link, &piece.table.name, work.at, rows, piece.size),
        Some(_) => String::new(),
    };
    target.run(&format!("{record}; COMMIT")).await.map_err(CopyError::Target)?;
    // What a row weighs differs between the table and its copy; the piece is done either way.
    work.progress.moved(piece.size.saturating_sub(shown.into_inner()));
    work.progress.piece(rows);
    let name = &piece.table.name;
    tracing::debug!(table = %name, range = ?piece.range, rows, bytes, "copied");
    let whole = match &piece.range {
        None => true,
        Some(range) => {
            let (rows, size) = work.add(name, rows, piece.size);
            let last = range.left.fetch_sub(1, Ordering::AcqRel) == 1;
            if last && !work.is_given_up(name) {
                let record = record::copied(&link, name, work.at, rows, size);
                target.run(&record).await.map_err(CopyError::Target)?;
            }
            last
        }
    };
    if whole {
        work.progress.table();
    }
    Ok(())
}

/// Never more than the piece's size.
fn show(work: &Work<'_>, piece: &Piece, bytes: u64, shown: &AtomicU64) {
    let before = shown.load(Ordering::Relaxed);
    let more = bytes.min(piece.size.saturating_sub(before));
    shown.store(before + more, Ordering::Relaxed);
    work.progress.moved(more);
}

/// After a table was rewritten (by ALTER TABLE or TRUNCATE) an older snapshot sees it empty
/// (PostgreSQL manual, "MVCC Caveats"): its file is then not the one that the snapshot knows. Asked
/// behind the COPY, whose lock keeps the table as it is; then the lock is given back, so that
/// nobody at the source waits for the end of the whole copy.
async fn is_unchanged(
    source: &mut CopySession,
    table: &SourceTable,
) -> Result<bool, ReplicationError> {
    let same = format!(
        "SELECT relfilenode = pg_catalog.pg_relation_filenode(oid) \
         FROM pg_catalog.pg_class WHERE oid = {}",
        table.oid
    );
    let same = source.value(&same).await?;
    source.run("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece").await?;
    Ok(same.as_deref() == Some("t"))
}

impl Work<'_> {
    fn give_up(&self, table: &str) {
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.insert(table.to_owned());
    }

    fn is_given_up(&self, table: &str) -> bool {
        self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).contains(table)
    }

    fn add(&self, table: &str, rows: u64, size: u64) -> (u64, u64) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry(table.to_owned()).or_default();
        *part = (part.0 + rows, part.1 + size);
        *part
    }
}

/// What an extension has put there comes from the source as well. Rows of a table that was
/// emptied in the same transaction may be written as frozen ones: they need not be looked at
/// again by the building of keys, nor be written again for it.
fn empty_first(table: &SourceTable) -> String {
    match (table.of_extension, table.may_split) {
        (true, _) => format!("TRUNCATE {} CASCADE", table.quoted),
        (false, true) => format!("TRUNCATE ONLY {}", table.quoted),
        (false, false) => String::new(),
    }
}

/// COPY at the source and at the target.
fn statements(piece: &Piece) -> (String, String) {
    let SourceTable { quoted, columns, binary, may_split, .. } = &*piece.table;
    let format = if *binary { "binary" } else { "text" };
    let list = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
    let out = match &piece.range {
        None => format!("COPY {quoted}{list} TO STDOUT (FORMAT {format})"),
        Some(range) => format!(
            "COPY (SELECT {columns} FROM ONLY {quoted} WHERE {}) TO STDOUT (FORMAT {format})",
            range.condition()
        ),
    };
    let freeze = if *may_split && piece.range.is_none() { ", FREEZE" } else { "" };
    (out, format!("COPY {quoted}{list} FROM STDIN (FORMAT {format}{freeze})"))
}

/// What a server refused is told with its table; what was lost heals.
fn failed(work: &Work<'_>, table: &SourceTable, error: CopyError) -> LinkError {
    let (error, endpoint, from_source) = match error {
        CopyError::Source(error) => (error, &work.shared.spec.source, true),
        CopyError::Target(error) => (error, &work.shared.spec.target, false),
    };
    let ReplicationError::Refused { why, sqlstate, .. } = error else { return error.into() };
    let (place, doing) = (place(endpoint), format!("copy {}", table.name));
    // undefined_table, undefined_column: the next attempt sees what has become of them.
    let gone = from_source && matches!(sqlstate.as_str(), "42P01" | "42703" | "3F000");
    let sqlstate = (!gone).then_some(sqlstate);
    let error = LinkError::Sql { place, doing, why, sqlstate };
    match (error.verdict(), error) {
        (Verdict::Stop(_), LinkError::Sql { place, why, .. }) if !from_source => {
            LinkError::Refused { place, table: table.name.clone(), why }
        }
        (_, error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{CopyPlan, pieces};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_whole_table_is_frozen_where_it_can_be_emptied_and_a_range_never() {
        let plan = CopyPlan { workers: 2, split_above: 0, range: 8192 };
        let copied = |table: SourceTable| {
            let pieces = pieces(&[Arc::new(table)], &plan);
            pieces.iter().map(statements).map(|(_, into)| into).collect::<Vec<_>>()
        };
        let plain = SourceTable::example("t");
        assert_eq!(copied(plain.clone()), ["COPY t (id) FROM STDIN (FORMAT binary, FREEZE)"]);
        let referenced = SourceTable { may_split: false, ..plain.clone() };
        assert_eq!(copied(referenced), ["COPY t (id) FROM STDIN (FORMAT binary)"]);
        let large = SourceTable { pages: 2, size: 16384, ..plain };
        assert_eq!(copied(large), ["COPY t (id) FROM STDIN (FORMAT binary)"; 2]);
    }
}
