//! Rows by their keys, in PostgreSQL's own text.

use crate::postgres::catalog::{Table, list};
use crate::postgres::salvage::{Columns, Value};
use crate::postgres::text::literals;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

/// Keys that one statement names.
pub(super) const CHUNK: usize = 500;

/// Rows by their key's values.
pub(super) type Images = BTreeMap<Vec<String>, Columns>;

/// The rows of the table that have one of these keys.
pub(super) async fn read(
    client: &Client,
    table: &Table,
    keys: &[Vec<String>],
) -> Result<Images, Error> {
    let (key, columns) = (list(&table.key), list(&table.columns));
    let sql = format!(
        "SELECT {key}, {columns} FROM ONLY {} WHERE ({key}) IN ({})",
        table.quoted,
        literals(keys)
    );
    let answer = client.simple_query(&sql).await?;
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(image(table, row)),
        _ => None,
    });
    Ok(rows.collect())
}

fn image(table: &Table, row: &SimpleQueryRow) -> (Vec<String>, Columns) {
    let keys = table.key.len();
    let key = (0..keys).map(|at| row.get(at).unwrap_or_default().to_owned());
    let value = |at| row.get(at).map_or(Value::Null, |text| Value::Text(text.to_owned()));
    let columns = table.columns.iter().enumerate();
    let columns = columns.map(|(at, name)| (name.clone(), value(keys + at)));
    (key.collect(), Columns(columns.collect()))
}

/// A key with its columns' names.
pub(super) fn named(table: &Table, key: &[String]) -> Columns {
    let text = |text: &String| Value::Text(text.clone());
    Columns(table.key.iter().cloned().zip(key.iter().map(text)).collect())
}
