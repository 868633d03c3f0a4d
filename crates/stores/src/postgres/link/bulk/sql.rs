//! The SQL for many rows of a table at once.

use super::super::table::{Lookup, TargetColumn, TargetTable};

/// A statement for many rows: prepared once for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) enum BulkShape {
    Copy,
    Insert,
    /// Columns that are set.
    Update(Vec<u16>),
    Delete,
}

/// One array for each column that is set, then one for each column of the key.
pub(in super::super) fn text(table: &TargetTable, shape: &BulkShape) -> String {
    let key: &[usize] = match &table.lookup {
        Lookup::Key(key) => key,
        Lookup::WholeRow | Lookup::Nothing => &[],
    };
    match shape {
        BulkShape::Copy => copy(table),
        BulkShape::Insert => insert(table),
        BulkShape::Update(set) => update(table, set, key),
        BulkShape::Delete => {
            let (source, condition) = keys(table, key, &[]);
            format!("DELETE FROM ONLY {} AS t USING {source} WHERE {condition}", table.quoted)
        }
    }
}

fn copy(table: &TargetTable) -> String {
    format!("COPY {} ({}) FROM STDIN", table.quoted, names(table))
}

fn names(table: &TargetTable) -> String {
    let names: Vec<_> = table.columns.iter().map(|c| c.quoted.as_str()).collect();
    names.join(", ")
}

fn insert(table: &TargetTable) -> String {
    let columns: Vec<_> = table.columns.iter().collect();
    let (source, _) = keys(table, &[], &columns);
    let each = |(n, column): (usize, &&TargetColumn)| value(column, &format!("s{n}"));
    let values: Vec<_> = columns.iter().enumerate().map(each).collect();
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {source}",
        table.quoted,
        names(table),
        values.join(", ")
    )
}

/// Without columns to set it still counts the rows that are there.
fn update(table: &TargetTable, set: &[u16], key: &[usize]) -> String {
    let columns: Vec<_> = set.iter().map(|i| &table.columns[usize::from(*i)]).collect();
    let (source, condition) = keys(table, key, &columns);
    if columns.is_empty() {
        return format!("SELECT 1 FROM ONLY {} AS t, {source} WHERE {condition}", table.quoted);
    }
    let assign = |(n, column): (usize, &&TargetColumn)| {
        format!("{} = {}", column.quoted, value(column, &format!("s{n}")))
    };
    let assignments: Vec<_> = columns.iter().enumerate().map(assign).collect();
    format!(
        "UPDATE ONLY {} AS t SET {} FROM {source} WHERE {condition}",
        table.quoted,
        assignments.join(", ")
    )
}

/// The arrays as rows, and the condition by which such a row finds its own in the table.
fn keys(table: &TargetTable, key: &[usize], set: &[&TargetColumn]) -> (String, String) {
    let key: Vec<_> = key.iter().map(|i| &table.columns[*i]).collect();
    let names = (0..set.len()).map(|n| format!("s{n}"));
    let names: Vec<_> = names.chain((0..key.len()).map(|n| format!("k{n}"))).collect();
    let all = set.iter().chain(&key).enumerate();
    let array = |(n, column): (usize, &&TargetColumn)| {
        format!("pg_catalog.unnest(${}::{})", n + 1, array_type(column))
    };
    let arrays: Vec<_> = all.map(array).collect();
    let source = format!("ROWS FROM ({}) AS u({})", arrays.join(", "), names.join(", "));
    let equal = |(n, column): (usize, &&TargetColumn)| {
        format!("t.{} {} {}", column.quoted, column.equals, value(column, &format!("k{n}")))
    };
    let condition: Vec<_> = key.iter().enumerate().map(equal).collect();
    (source, condition.join(" AND "))
}

fn array_type(column: &TargetColumn) -> &str {
    column.array_type.as_deref().unwrap_or("pg_catalog.text[]")
}

/// Arrays have the element's type without its length, so that the length is applied as for any
/// value that is assigned.
fn value(column: &TargetColumn, name: &str) -> String {
    match column.array_type {
        Some(_) => format!("u.{name}"),
        None => format!("u.{name}::{}", column.sql_type),
    }
}
