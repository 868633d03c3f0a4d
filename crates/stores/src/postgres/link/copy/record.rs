//! What the target knows of a first copy under way, so that one that was cut off goes on.
//!
//! `mainstay.copy` has a row from the transaction that made the tables until the link has its
//! position. `mainstay.copied` names every table; `at` is the position as of which its rows are
//! there, all of them, and null until they are. `mainstay.unmade` has the statements that are
//! still to be run; each is removed in the transaction that runs it.
//!
//! Invariant: a table with `at` is never copied again by the same copy, and one without may be
//! emptied at any time.
//! Invariant: a later transaction of the target is durable only with all earlier ones, so that
//! what is recorded is there even where nobody waited for the disk.

use super::super::LinkSpec;
use super::super::failure::LinkError;
use super::super::resume;
use super::super::sql::Sql;
use super::script::{Kind, Step};
use super::tables::SourceTable;
use crate::postgres::replication::quote_literal;
use mainstay_core::position::Lsn;
use std::collections::HashMap;

/// A first copy that began earlier.
pub(super) struct Begun {
    /// Where the kept slot streams from.
    pub start: Lsn,
    /// The definitions came from the source, too.
    pub made: bool,
    /// By name.
    pub tables: HashMap<String, Recorded>,
}

pub(super) struct Recorded {
    pub oid: u32,
    pub shape: String,
    pub copied: bool,
    pub rows: u64,
    pub bytes: u64,
}

pub(super) async fn load(target: &Sql, link: &str) -> Result<Option<Begun>, LinkError> {
    const COPY: &str = "SELECT start::text, made FROM mainstay.copy WHERE link = $1";
    const TABLES: &str = "SELECT table_name, source_oid, shape, at IS NOT NULL, \
                          coalesce(rows, 0), coalesce(bytes, 0) \
                          FROM mainstay.copied WHERE link = $1";
    let rows = target.rows("read mainstay.copy", COPY, &[&link]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let start = resume::parse_lsn(target, row.get(0))?;
    let tables = target.rows("read mainstay.copied", TABLES, &[&link]).await?;
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let recorded = |row: &tokio_postgres::Row| Recorded {
        oid: row.get(1),
        shape: row.get(2),
        copied: row.get(3),
        rows: count(row.get(4)),
        bytes: count(row.get(5)),
    };
    let tables = tables.iter().map(|row| (row.get(0), recorded(row))).collect();
    Ok(Some(Begun { start, made: row.get(1), tables }))
}

/// The statements that record the beginning, to be run in the transaction that makes the tables.
pub(super) fn beginning(
    link: &str,
    start: Lsn,
    made: bool,
    tables: &[SourceTable],
    steps: &[Step],
) -> String {
    let name = literal(link);
    let mut sql = forget(link);
    sql += &format!("INSERT INTO mainstay.copy VALUES ({name}, '{start}', {made});\n");
    for table in tables {
        let SourceTable { oid, shape, .. } = table;
        let (table, shape) = (literal(&table.name), literal(shape));
        sql += &format!(
            "INSERT INTO mainstay.copied (link, table_name, source_oid, shape) \
             VALUES ({name}, {table}, {oid}, {shape});\n"
        );
    }
    for (number, step) in steps.iter().enumerate() {
        let (kind, table) = (step.kind.name(), literal(&step.table));
        let statement = literal(&step.statement);
        sql += &format!(
            "INSERT INTO mainstay.unmade VALUES \
             ({name}, {number}, '{kind}', {table}, {statement});\n"
        );
    }
    sql
}

/// Unlike names, statements may have backslashes in them.
fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!(" E{}", quote_literal(&text.replace('\\', "\\\\"))),
        false => quote_literal(text),
    }
}

/// All rows of the table are there as of `at`; to be run behind the transactions that brought them.
pub(super) fn copied(link: &str, table: &str, at: Lsn, rows: u64, bytes: u64) -> String {
    format!(
        "UPDATE mainstay.copied SET at = '{at}', rows = {rows}, bytes = {bytes} \
         WHERE link = {} AND table_name = {}",
        literal(link),
        literal(table)
    )
}

/// A statement of `mainstay.unmade`.
#[derive(Debug, Clone)]
pub(super) struct Unmade {
    pub number: i32,
    pub table: String,
    pub statement: String,
}

/// In the script's order.
pub(super) async fn unmade(target: &Sql, link: &str, kind: Kind) -> Result<Vec<Unmade>, LinkError> {
    const LIST: &str = "SELECT number, table_name, statement FROM mainstay.unmade \
                        WHERE link = $1 AND kind = $2 ORDER BY number";
    let rows = target.rows("read mainstay.unmade", LIST, &[&link, &kind.name()]).await?;
    let read = |row: &tokio_postgres::Row| Unmade {
        number: row.get(0),
        table: row.get(1),
        statement: row.get(2),
    };
    Ok(rows.iter().map(read).collect())
}

/// The statement with its removal from the list: both or neither.
pub(super) fn make(link: &str, step: &Unmade) -> String {
    format!(
        "BEGIN;\n{};\nDELETE FROM mainstay.unmade WHERE link = {} AND number = {};\nCOMMIT",
        step.statement,
        literal(link),
        step.number
    )
}

/// Gives the link its position. Durable, and with it all that was committed before; the names of
/// tables whose rows are newer stay, so that older changes to them are skipped.
pub(super) async fn finish(target: &Sql, spec: &LinkSpec, at: Lsn) -> Result<(), LinkError> {
    let (name, epoch) = (literal(&spec.name()), spec.epoch.number() as i64);
    let moved = "UPDATE mainstay.link SET position = $3::text::pg_lsn \
                 WHERE name = $1 AND epoch = $2 AND position IS NULL";
    target.batch("end the first copy", "SET synchronous_commit = on; BEGIN").await?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&spec.name(), &epoch, &at.to_string()];
    if target.execute("end the first copy", moved, &parameters).await? != 1 {
        target.batch("roll back", "ROLLBACK").await?;
        return Err(resume::overtaken(target, spec, Lsn::default()).await);
    }
    let forget = format!(
        "DELETE FROM mainstay.copied WHERE link = {name} AND (at IS NULL OR at <= '{at}'); \
         DELETE FROM mainstay.copy WHERE link = {name}; COMMIT"
    );
    target.batch("end the first copy", &forget).await
}

/// The statements that forget a first copy, for the transaction that takes away what it brought.
pub(super) fn forget(link: &str) -> String {
    let name = literal(link);
    format!(
        "DELETE FROM mainstay.copied WHERE link = {name}; \
         DELETE FROM mainstay.unmade WHERE link = {name}; \
         DELETE FROM mainstay.copy WHERE link = {name};\n"
    )
}

/// Once the position has passed them, nothing is skipped for their sake.
pub(super) async fn forget_passed(
    target: &Sql,
    link: &str,
    position: Lsn,
) -> Result<(), LinkError> {
    const FORGET: &str = "DELETE FROM mainstay.copied WHERE link = $1 AND at <= $2::text::pg_lsn";
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [&link, &position.to_string()];
    target.execute("clear mainstay.copied", FORGET, &parameters).await.map(|_| ())
}

/// Tables that are as of a later instant than the target's position.
pub(super) struct Ahead {
    /// The position at which all tables will be as of one instant.
    pub together: Lsn,
    pub tables: u32,
    pub rows: u64,
    pub bytes: u64,
}

pub(super) async fn ahead(
    target: &Sql,
    link: &str,
    position: Lsn,
) -> Result<Option<Ahead>, LinkError> {
    const NEWEST: &str = "SELECT max(at)::text, count(*), sum(rows)::int8, sum(bytes)::int8 \
                          FROM mainstay.copied WHERE link = $1 AND at > $2::text::pg_lsn";
    let rows = target.rows("read mainstay.copied", NEWEST, &[&link, &position.to_string()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(newest) = row.get::<_, Option<&str>>(0) else { return Ok(None) };
    let count = |place: usize| -> u64 {
        u64::try_from(row.get::<_, Option<i64>>(place).unwrap_or_default()).unwrap_or_default()
    };
    Ok(Some(Ahead {
        together: resume::parse_lsn(target, newest)?,
        tables: u32::try_from(count(1)).unwrap_or(u32::MAX),
        rows: count(2),
        bytes: count(3),
    }))
}
