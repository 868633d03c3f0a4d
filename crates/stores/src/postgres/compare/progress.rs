//! How far a comparison has come, in whole tables: PostgreSQL does not say how far one statement is.

use super::table::Side;
use crate::postgres::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub tables_done: u64,
    pub tables: u64,
    /// The table that is read now, as `schema.table`.
    pub table: Option<String>,
    /// On disk at the source when the comparison began: of the table that is read now, of the
    /// tables that were read, and of all.
    pub table_bytes: u64,
    pub bytes: u64,
    pub total_bytes: u64,
}

pub(super) struct Meter {
    sizes: BTreeMap<u32, u64>,
    oids: BTreeMap<String, u32>,
    now: Progress,
}

impl Meter {
    pub async fn of(source: &Side, tables: usize) -> Result<Self, Fault> {
        let oids: BTreeMap<String, u32> =
            source.tables.values().map(|table| (table.name.clone(), table.oid)).collect();
        let all: Vec<u32> = oids.values().copied().collect();
        let sql = "SELECT o, COALESCE(pg_catalog.pg_table_size(o), 0) FROM unnest($1::oid[]) o";
        let rows = source.session.rows("measure the tables", sql, &[&all]).await?;
        let size = |row: &tokio_postgres::Row| row.get::<_, i64>(1).unsigned_abs();
        let sizes: BTreeMap<u32, u64> = rows.iter().map(|row| (row.get(0), size(row))).collect();
        let total_bytes = sizes.values().sum();
        let now = Progress { tables: tables as u64, total_bytes, ..Progress::default() };
        Ok(Self { sizes, oids, now })
    }

    pub fn now(&self) -> &Progress {
        &self.now
    }

    pub fn begin(&mut self, table: &str) -> &Progress {
        self.now.table = Some(table.to_owned());
        self.now.table_bytes = self.size(table);
        &self.now
    }

    pub fn end(&mut self, table: &str) {
        self.now.tables_done += 1;
        self.now.bytes += self.size(table);
        self.now.table = None;
        self.now.table_bytes = 0;
    }

    fn size(&self, table: &str) -> u64 {
        self.oids.get(table).and_then(|oid| self.sizes.get(oid)).copied().unwrap_or(0)
    }
}
