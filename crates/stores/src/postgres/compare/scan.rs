//! Some rows of a table at one side, in the order of their keys, as digests.

use super::interrupted;
use super::settled::Bytes;
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::{Session, reason};
use futures::TryStreamExt;
use postgres_protocol::escape::escape_identifier;
use std::pin::Pin;
use tokio_postgres::RowStream;
use uuid::Uuid;

const DOING: &str = "read a table to compare it";

/// What is compared of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key's values as text. A table without a key is ordered by its digests.
    pub key: Vec<String>,
    pub digest: Uuid,
}

pub(super) struct Scan<'a> {
    session: &'a Session,
    rows: Pin<Box<RowStream>>,
}

/// `within` is SQL for the rows that are read.
pub(super) async fn begin<'a>(
    session: &'a Session,
    table: &Table,
    within: &str,
    bytes: Bytes,
) -> Result<Scan<'a>, Fault> {
    let rows = session.stream(DOING, &query(table, within, bytes), &[]).await;
    let rows = rows.map_err(|fault| interrupted(session, fault.to_string()))?;
    Ok(Scan { session, rows: Box::pin(rows) })
}

/// The digest is of the whole row in text, in which each value stands as its type writes it.
fn query(table: &Table, within: &str, bytes: Bytes) -> String {
    let row = bytes.hashed(&format!("ROW({})::text", list(&table.columns)));
    let mut key: Vec<_> =
        table.key.iter().map(|column| escape_identifier(column) + "::text").collect();
    if key.is_empty() {
        key.push(format!("md5({row})"));
    }
    let order: Vec<_> = (1..=key.len()).map(|at| bytes.ordered(&format!("k[{at}]"))).collect();
    format!(
        "SELECT k, md5(r)::uuid \
         FROM (SELECT ARRAY[{key}] AS k, {row} AS r FROM ONLY {table} WHERE {within}) t \
         ORDER BY {order}",
        key = key.join(", "),
        table = table.quoted,
        order = order.join(", "),
    )
}

impl Scan<'_> {
    pub async fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let row = self.rows.try_next().await;
        let row = row.map_err(|e| interrupted(self.session, reason(&e)))?;
        Ok(row.map(|row| Entry { key: row.get(0), digest: row.get(1) }))
    }
}
