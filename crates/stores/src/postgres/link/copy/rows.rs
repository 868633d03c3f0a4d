//! Rows of all tables, several tables at a time, as of the slot's snapshot.

use super::super::LinkSpec;
use super::super::failure::LinkError;
use super::super::pipeline::refused;
use super::super::shared::Shared;
use super::super::sql::Sql;
use super::tables::SourceTable;
use crate::postgres::replication::quote_literal;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use mainstay_core::LinkPhase;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

/// Tables that are copied at once; each needs a connection at both sides.
const WORKERS: usize = 4;

/// Tables still to copy, and what is durable at the target.
struct Work {
    waiting: VecDeque<SourceTable>,
    tables: u32,
    done: u32,
    rows: u64,
    bytes: u64,
}

pub(super) async fn copy(
    shared: &Shared,
    tables: Vec<SourceTable>,
    snapshot: &str,
) -> Result<(), LinkError> {
    let workers = tables.len().min(WORKERS);
    let count = u32::try_from(tables.len()).unwrap_or(u32::MAX);
    let work =
        Mutex::new(Work { waiting: tables.into(), tables: count, done: 0, rows: 0, bytes: 0 });
    report(shared, &work, None);
    let running = (0..workers).map(|_| worker(shared, &work, snapshot));
    futures::future::try_join_all(running).await.map(|_| ())
}

/// Says that a copy has begun, before the first row.
pub(super) fn report_waiting(shared: &Shared, tables: &[SourceTable]) {
    let tables = u32::try_from(tables.len()).unwrap_or(u32::MAX);
    shared.copying(Some(LinkPhase::Copying { tables_done: 0, tables, rows: 0, bytes: 0 }));
}

/// Adds a copied table, and tells those who watch.
fn report(shared: &Shared, work: &Mutex<Work>, copied: Option<(u64, u64)>) {
    let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((rows, bytes)) = copied {
        work.done += 1;
        work.rows += rows;
        work.bytes += bytes;
    }
    let Work { tables, done, rows, bytes, .. } = *work;
    shared.copying(Some(LinkPhase::Copying { tables_done: done, tables, rows, bytes }));
}

async fn worker(shared: &Shared, work: &Mutex<Work>, snapshot: &str) -> Result<(), LinkError> {
    let (source, target) = open(&shared.spec, snapshot).await?;
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front();
        let Some(table) = next else { return Ok(()) };
        let copied = copy_table(&source, &target, &table).await?;
        report(shared, work, Some(copied));
    }
}

async fn open(spec: &LinkSpec, snapshot: &str) -> Result<(Sql, Sql), LinkError> {
    let source = Sql::open(&spec.source, &format!("copy {}", spec.slot())).await?;
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}",
        quote_literal(snapshot)
    );
    source.batch("read the slot's snapshot", &begin).await?;
    let target = Sql::open(&spec.target, &spec.apply_session()).await?;
    target.batch("begin a copying session", "SET session_replication_role = replica").await?;
    Ok((source, target))
}

/// Rows and bytes of one table, in one transaction of the target.
async fn copy_table(
    source: &Sql,
    target: &Sql,
    table: &SourceTable,
) -> Result<(u64, u64), LinkError> {
    target.batch("copy a table", "BEGIN").await?;
    if table.of_extension {
        // What the extension has put there comes from the source as well.
        target.batch("copy a table", &format!("TRUNCATE {} CASCADE", table.quoted)).await?;
    }
    let copied = pump(source, target, table).await?;
    target.batch("copy a table", "COMMIT").await?;
    tracing::debug!(table = %table.name, rows = copied.0, bytes = copied.1, "copied");
    Ok(copied)
}

async fn pump(source: &Sql, target: &Sql, table: &SourceTable) -> Result<(u64, u64), LinkError> {
    let format = if table.binary { "binary" } else { "text" };
    let SourceTable { name, quoted, columns, .. } = table;
    let doing = format!("read {name}");
    let out = format!("COPY {quoted} {columns} TO STDOUT (FORMAT {format})");
    let into = format!("COPY {quoted} {columns} FROM STDIN (FORMAT {format})");
    let out = source.client().copy_out(&out).await.map_err(|e| source.failed(&doing, &e))?;
    let into = target.client().copy_in::<_, Bytes>(&into).await;
    let into = into.map_err(|e| refused(target, name, &e))?;
    let (mut out, mut into) = (pin!(out), pin!(into));
    let mut bytes = 0;
    while let Some(chunk) = out.next().await {
        let chunk = chunk.map_err(|e| source.failed(&doing, &e))?;
        bytes += chunk.len() as u64;
        if into.feed(chunk).await.is_err() {
            // Why is told by the end of the copy.
            break;
        }
    }
    let rows = into.finish().await.map_err(|e| refused(target, name, &e))?;
    Ok((rows, bytes))
}
