//! What a statement would work out anew at the target, with another result.

use super::lexer::Kind;
use super::message::{Defaults, Filled, Told};
use super::statement::Statement;
use crate::postgres::link::failure::LinkError;
use crate::postgres::link::sql::Sql;
use crate::postgres::replication::{quote_identifier, quote_literal};
use std::collections::BTreeMap;

/// They tell the time without being functions, or are stable though the time goes on.
const OF_THE_TIME: [&str; 10] = [
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "NOW",
    "TRANSACTION_TIMESTAMP",
    "STATEMENT_TIMESTAMP",
    "AGE",
    "PG_CURRENT_XACT_ID",
];

/// Why the rows of a table whose column got another type would differ.
pub(super) async fn retyping(
    sql: &Sql,
    told: &Told,
    statement: &Statement,
) -> Result<Option<String>, LinkError> {
    const VOLATILE: &str = "SELECT min(proname)::text FROM pg_catalog.pg_proc \
                            WHERE proname = ANY ($1) AND provolatile = 'v'";
    if !told.retyped {
        return Ok(None);
    }
    let words = words(statement);
    let time = words.iter().find(|word| OF_THE_TIME.contains(&word.to_ascii_uppercase().as_str()));
    let found = match time {
        Some(time) => Some(time.clone()),
        None => {
            let rows = sql.rows("look functions up", VOLATILE, &[&words]).await?;
            rows.first().and_then(|row| row.get::<_, Option<String>>(0))
        }
    };
    Ok(found.map(|name| {
        format!("the rows were written anew with {name}, which has another result here")
    }))
}

/// Names as the catalog has them.
fn words(statement: &Statement) -> Vec<String> {
    let named = statement.tokens.iter().filter_map(|token| match token.kind {
        Kind::Word => Some(statement.text(token).to_ascii_lowercase()),
        Kind::Name => Some(statement.text(token).trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    });
    named.collect()
}

/// The columns of the tables that a statement may add columns to, by their numbers.
pub(super) struct Before(Vec<BTreeMap<String, i16>>);

pub(super) async fn before(sql: &Sql, told: &Told) -> Result<Before, LinkError> {
    let mut all = Vec::new();
    for table in &told.defaults {
        all.push(columns(sql, table).await?);
    }
    Ok(Before(all))
}

async fn columns(sql: &Sql, table: &Defaults) -> Result<BTreeMap<String, i16>, LinkError> {
    const COLUMNS: &str = "SELECT a.attname::text, a.attnum FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped";
    let rows = sql.rows("list a table's columns", COLUMNS, &[&table.schema, &table.table]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What gives old rows the source's values in new columns.
pub(super) enum Fill {
    /// These statements.
    By(Vec<String>),
    /// Nothing does; the words say why.
    Impossible(String),
}

/// To be asked after the statement.
pub(super) async fn fill(sql: &Sql, told: &Told, before: &Before) -> Result<Fill, LinkError> {
    let mut updates = Vec::new();
    for (table, had) in told.defaults.iter().zip(&before.0) {
        let now = columns(sql, table).await?;
        let is_new =
            |column: &String| now.contains_key(column) && now.get(column) != had.get(column);
        if let Some(column) = table.unequal.iter().find(|column| is_new(column)) {
            return Ok(Fill::Impossible(format!(
                "it gave each old row of {}.{} its own value of the new column {column}, which was \
                 not sent; the same at the target by hand, and afterwards an UPDATE of {column} in \
                 all rows at the source, makes them equal",
                table.schema, table.table
            )));
        }
        let filled = table.filled.iter().filter(|filled| is_new(&filled.column));
        updates.extend(filled.map(|filled| update(table, filled)));
    }
    Ok(Fill::By(updates))
}

fn update(table: &Defaults, filled: &Filled) -> String {
    format!(
        "UPDATE ONLY {}.{} SET {} = (({})::text::{}[])[1]",
        quote_identifier(&table.schema),
        quote_identifier(&table.table),
        quote_identifier(&filled.column),
        quote_literal(&filled.value),
        filled.sql_type,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_catalog_has_them() {
        let sql = "ALTER TABLE t ALTER a TYPE int USING Random() + \"Odd\"\"one\"() + 'now()'";
        let words = words(&Statement::split(sql, false).unwrap()[0]);
        assert!(words.contains(&"random".to_owned()) && words.contains(&"Odd\"one".to_owned()));
        assert!(!words.contains(&"now".to_owned()), "constants are not names");
    }
}
