//! The rows themselves: away at the returned site, and in again as the active site has them.

use super::{BATCH, DOING, Tally, Work};
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use crate::postgres::text::literal;
use futures::{SinkExt, StreamExt};
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeMap;
use std::pin::pin;

/// Where a table's rows from the active site wait until nothing stands in their way.
const WAITING: &str = "pg_temp.mainstay_waiting";

/// A table's named keys, numbered, so that those named on the way come last.
const KEYS: &str = "pg_temp.mainstay_keys";

pub(in crate::postgres) struct Rows<'a> {
    pub work: &'a Work<'a>,
    /// Sees the active site as of `until`.
    pub active: &'a Session,
    pub tally: &'a Tally<'a>,
}

impl Rows<'_> {
    /// First every named row goes, in all tables: a value that must be unique may have moved from
    /// one of them to another.
    pub async fn put_right(&self, named: &BTreeMap<&str, &Table>) -> Result<(), Fault> {
        for table in named.values() {
            self.delete(table, "true").await?;
        }
        for table in named.values() {
            self.fetch_and_insert(table).await?;
        }
        Ok(())
    }

    /// Deletes the named rows of the table for which `those` holds.
    async fn delete(&self, table: &Table, those: &str) -> Result<(), Fault> {
        let sql = format!(
            "DELETE FROM {} WHERE ({}) IN (SELECT {} FROM mainstay.put_right \
             WHERE link = {} AND table_name = {} AND {those})",
            table.quoted,
            list(&table.key),
            self.key_values(table).await?,
            literal(Some(self.work.link)),
            literal(Some(&table.name)),
        );
        self.work.batch(&sql).await
    }

    /// The columns of a named key, out of its JSON array, as values of the table's types.
    async fn key_values(&self, table: &Table) -> Result<String, Fault> {
        let sql = "SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod) \
                   FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = ANY ($2::text[])";
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&table.oid, &table.key];
        let rows = self.work.transaction.query(sql, &params).await;
        let types: BTreeMap<String, String> = rows
            .map_err(|e| self.work.fault(&e))?
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let value = |(at, column): (usize, &String)| {
            format!("(key ->> {at})::{}", types.get(column).map_or("text", String::as_str))
        };
        Ok(table.key.iter().enumerate().map(value).collect::<Vec<_>>().join(", "))
    }

    /// Rows that nobody named may stand in the way: their change at the active site is still to
    /// come with the link, and until then they hold a value that must be unique. They are named
    /// too, until none is left.
    async fn fetch_and_insert(&self, table: &Table) -> Result<(), Fault> {
        self.begin_table(table).await?;
        let mut last = 0;
        loop {
            while let Some(keys) = self.keys(&mut last).await? {
                self.fetch(table, &keys).await?;
                self.tally.add(keys.len());
            }
            if self.name_those_in_the_way(table).await? == 0 {
                break;
            }
        }
        let columns = list(&table.writable);
        let sql = format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {WAITING}; \
             DROP TABLE {WAITING}, {KEYS}",
            table.quoted
        );
        self.work.batch(&sql).await
    }

    /// The waiting rows' table has the generated columns, because unique indexes may use them, and
    /// no defaults, since every value comes from the active site.
    async fn begin_table(&self, table: &Table) -> Result<(), Fault> {
        let sql = format!(
            "CREATE TEMPORARY TABLE mainstay_waiting (LIKE {} INCLUDING GENERATED); \
             CREATE TEMPORARY TABLE mainstay_keys \
                 (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key jsonb NOT NULL); \
             INSERT INTO {KEYS} (key) SELECT key FROM mainstay.put_right \
                 WHERE link = {} AND table_name = {}",
            table.quoted,
            literal(Some(self.work.link)),
            literal(Some(&table.name)),
        );
        self.work.batch(&sql).await
    }

    /// The next batch of named keys after number `last`.
    async fn keys(&self, last: &mut i64) -> Result<Option<Vec<Vec<String>>>, Fault> {
        let sql = format!(
            "SELECT n, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(key)) FROM {KEYS} \
             WHERE n > $1 ORDER BY n LIMIT $2"
        );
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let rows = self.work.transaction.query(&sql, &[&*last, &limit]).await;
        let rows = rows.map_err(|e| self.work.fault(&e))?;
        if let Some(row) = rows.last() {
            *last = row.get(0);
        }
        Ok((!rows.is_empty()).then(|| rows.iter().map(|row| row.get(1)).collect()))
    }

    /// Copies rows over as they are, in PostgreSQL's own text.
    async fn fetch(&self, table: &Table, keys: &[Vec<String>]) -> Result<(), Fault> {
        let columns = list(&table.writable);
        let key = |values: &Vec<String>| {
            let values: Vec<_> = values.iter().map(|value| literal(Some(value))).collect();
            format!("({})", values.join(", "))
        };
        let keys: Vec<_> = keys.iter().map(key).collect();
        let out = format!(
            "COPY (SELECT {columns} FROM {} WHERE ({}) IN ({})) TO STDOUT",
            table.quoted,
            list(&table.key),
            keys.join(", ")
        );
        let into = format!("COPY {WAITING} ({columns}) FROM STDIN");
        let there = |e| self.active.fault(DOING, &e);
        let here = |e| self.work.fault(&e);
        let mut rows = pin!(self.active.client().copy_out(&out).await.map_err(there)?);
        let mut sink = pin!(self.work.transaction.copy_in(&into).await.map_err(here)?);
        while let Some(data) = rows.next().await {
            sink.send(data.map_err(there)?).await.map_err(here)?;
        }
        sink.finish().await.map_err(here).map(drop)
    }

    async fn name_those_in_the_way(&self, table: &Table) -> Result<u64, Fault> {
        let mut named = 0;
        for index in self.unique_indexes(table).await? {
            let sql = format!(
                "WITH those AS ( \
                     INSERT INTO mainstay.put_right (link, table_name, columns, key, until) \
                     SELECT DISTINCT {link}, {name}, {columns}, {key}, '{until}'::pg_lsn \
                     FROM (SELECT {out}, {values} FROM {table} {filter}) t \
                     JOIN (SELECT {values} FROM {WAITING} {filter}) w ON {equal} \
                     ON CONFLICT (link, table_name, md5(key::text)) DO NOTHING RETURNING key), \
                 noted AS (INSERT INTO {KEYS} (key) SELECT key FROM those) \
                 DELETE FROM {table} WHERE ({keys}) IN (SELECT {key_values} FROM those)",
                link = literal(Some(self.work.link)),
                name = literal(Some(&table.name)),
                columns = key_columns(table),
                key = key_array(table),
                until = self.work.until,
                out = key_texts(table),
                values = index.values(),
                table = table.quoted,
                filter = index.filter,
                equal = index.equal(),
                keys = list(&table.key),
                key_values = self.key_values(table).await?,
            );
            let done = self.work.transaction.execute(&sql, &[]).await;
            named += done.map_err(|e| self.work.fault(&e))?;
        }
        Ok(named)
    }

    /// Each unique index of the table.
    async fn unique_indexes(&self, table: &Table) -> Result<Vec<UniqueIndex>, Fault> {
        let sql = "SELECT ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, at, false) \
                              FROM generate_series(1, i.indnkeyatts) at ORDER BY at), \
                          COALESCE('WHERE ' || pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''), \
                          i.indnullsnotdistinct \
                   FROM pg_catalog.pg_index i \
                   WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid";
        let rows = self.work.transaction.query(sql, &[&table.oid]).await;
        let read = |row: &tokio_postgres::Row| UniqueIndex {
            parts: row.get(0),
            filter: row.get(1),
            nulls_are_equal: row.get(2),
        };
        Ok(rows.map_err(|e| self.work.fault(&e))?.iter().map(read).collect())
    }
}

/// Columns or expressions that are unique together, in those rows for which the filter holds.
struct UniqueIndex {
    parts: Vec<String>,
    filter: String,
    nulls_are_equal: bool,
}

impl UniqueIndex {
    fn values(&self) -> String {
        let named = |(at, part): (usize, &String)| format!("({part}) AS u{at}");
        self.parts.iter().enumerate().map(named).collect::<Vec<_>>().join(", ")
    }

    /// In words that let the index be used: `IS NOT DISTINCT FROM` does not.
    fn equal(&self) -> String {
        let one = |at| match self.nulls_are_equal {
            false => format!("t.u{at} = w.u{at}"),
            true => format!("(t.u{at} = w.u{at} OR t.u{at} IS NULL AND w.u{at} IS NULL)"),
        };
        (0..self.parts.len()).map(one).collect::<Vec<_>>().join(" AND ")
    }
}

/// A key's columns as text, by their output functions.
fn key_texts(table: &Table) -> String {
    let one = |(at, column): (usize, &String)| {
        format!("pg_catalog.format('%s', {}) AS k{at}", escape_identifier(column))
    };
    table.key.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn key_columns(table: &Table) -> String {
    let names: Vec<_> = table.key.iter().map(|column| literal(Some(column))).collect();
    format!("ARRAY[{}]::text[]", names.join(", "))
}

fn key_array(table: &Table) -> String {
    let columns: Vec<_> = (0..table.key.len()).map(|at| format!("t.k{at}")).collect();
    format!("pg_catalog.jsonb_build_array({})", columns.join(", "))
}
