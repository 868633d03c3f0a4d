//! A row as its digest sees it: two rows are digested alike only if every value is written alike.

use super::settled::Bytes;
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeMap;

const DOING: &str = "look up the types of a table's columns";

/// Types whose hash functions tell any two values apart that are written differently, as far as 64
/// bits do. Not so: numbers (1.0 and 1.00, 0 and -0), intervals, times with a zone, JSON, arrays,
/// characters with blanks at their end; and enums are hashed by numbers of their own server.
const HASHED: [&str; 13] = [
    "bool",
    "bytea",
    "date",
    "int2",
    "int4",
    "int8",
    "oid",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

/// SQL for the row: a value of a type that hashes well stands as it is, the others as their text.
/// Where the encodings of both sides differ, all of it stands as one text.
pub(super) async fn row(session: &Session, table: &Table, bytes: Bytes) -> Result<String, Fault> {
    if bytes == Bytes::Converted {
        return Ok(format!(
            "ROW({})",
            bytes.hashed(&format!("ROW({})::text", list(&table.columns)))
        ));
    }
    const TYPES: &str = "SELECT a.attname::text, t.typname::text \
                         FROM pg_catalog.pg_attribute a \
                         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
                               AND t.typnamespace = 'pg_catalog'::regnamespace";
    let rows = session.rows(DOING, TYPES, &[&table.oid]).await?;
    let types: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let value = |name: &String| {
        let column = escape_identifier(name);
        match types.get(name).map(String::as_str) {
            Some(kind) if HASHED.contains(&kind) => column,
            // The cast to text drops blanks, which `bpchar` may hold and show.
            Some("bpchar") => format!("pg_catalog.textin(pg_catalog.bpcharout({column}))"),
            _ => format!("{column}::text"),
        }
    };
    let values: Vec<_> = table.columns.iter().map(value).collect();
    Ok(format!("ROW({})", values.join(", ")))
}
