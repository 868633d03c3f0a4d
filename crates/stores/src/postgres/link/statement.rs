//! The SQL for one change of one row. Pure: a change in, a statement and its values out.

use super::table::{Lookup, TargetTable};
use bytes::{BufMut, Bytes, BytesMut};
use mainstay_wire::pgoutput::{OldTuple, Value};
use std::error::Error;
use std::fmt::Write as _;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value as the source wrote it. PostgreSQL reads it by the type's own input function, whatever
/// the type is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextValue(pub Option<Bytes>);

impl ToSql for TextValue {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// What decides the text of a statement, beside its table: the statement is prepared once for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Insert,
    /// Columns that are set, and key columns that are null.
    Update {
        set: Vec<u16>,
        nulls: Vec<u16>,
    },
    /// The row is deleted and inserted: it has a value that PostgreSQL lets no UPDATE set. The
    /// columns that are given, and key columns that are null.
    Rewrite {
        given: Vec<u16>,
        nulls: Vec<u16>,
    },
    Delete {
        nulls: Vec<u16>,
    },
}

impl Shape {
    pub fn verb(&self) -> &'static str {
        match self {
            Shape::Insert => "insert",
            Shape::Update { .. } | Shape::Rewrite { .. } => "update",
            Shape::Delete { .. } => "delete",
        }
    }
}

pub(super) type Planned = (Shape, Vec<TextValue>);

/// Why a change cannot be written as SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unplannable {
    #[error("has a value missing that it must have")]
    Missing,
    #[error("has no replica identity")]
    NoIdentity,
}

pub(super) fn insert(new: &[Value]) -> Result<Planned, Unplannable> {
    let values = new.iter().map(text).collect::<Result<_, _>>()?;
    Ok((Shape::Insert, values))
}

pub(super) fn update(
    table: &TargetTable,
    old: Option<&OldTuple>,
    new: &[Value],
) -> Result<Planned, Unplannable> {
    let before = old.map_or(new, |old| old.tuple().as_slice());
    let rewrite = needs_rewrite(table, old, new);
    let is_set = |i: &usize| {
        new[*i] != Value::UnchangedToast && (rewrite || !table.columns[*i].always_identity)
    };
    let set: Vec<usize> = (0..new.len()).filter(is_set).collect();
    let mut values = set.iter().map(|i| text(&new[*i])).collect::<Result<Vec<_>, _>>()?;
    let nulls = condition_values(table, before, &mut values)?;
    let set: Vec<u16> = set.into_iter().map(|i| i as u16).collect();
    let shape = match rewrite {
        true => Shape::Rewrite { given: set, nulls },
        false => Shape::Update { set, nulls },
    };
    Ok((shape, values))
}

/// Whether a column that is `GENERATED ALWAYS AS IDENTITY` may have taken another value. Of a
/// column outside the key that is only known when the whole old row came.
pub(super) fn needs_rewrite(table: &TargetTable, old: Option<&OldTuple>, new: &[Value]) -> bool {
    let in_key = |i: &usize| matches!(&table.lookup, Lookup::Key(columns) if columns.contains(i));
    let taken = |i: &usize| match old {
        Some(OldTuple::Full(old)) => old[*i] != new[*i],
        Some(OldTuple::Key(old)) => !in_key(i) || old[*i] != new[*i],
        None => !in_key(i),
    };
    (0..new.len()).filter(|i| table.columns[*i].always_identity).any(|i| taken(&i))
}

pub(super) fn delete(table: &TargetTable, old: &OldTuple) -> Result<Planned, Unplannable> {
    let mut values = Vec::new();
    let nulls = condition_values(table, old.tuple(), &mut values)?;
    Ok((Shape::Delete { nulls }, values))
}

fn text(value: &Value) -> Result<TextValue, Unplannable> {
    match value {
        Value::Null => Ok(TextValue(None)),
        Value::Text(bytes) => Ok(TextValue(Some(bytes.clone()))),
        Value::UnchangedToast | Value::Binary(_) => Err(Unplannable::Missing),
    }
}

/// The columns by which a row is found.
fn looked_up(table: &TargetTable) -> Result<Vec<usize>, Unplannable> {
    match &table.lookup {
        Lookup::Key(columns) => Ok(columns.clone()),
        Lookup::WholeRow => Ok((0..table.columns.len()).collect()),
        Lookup::Nothing => Err(Unplannable::NoIdentity),
    }
}

/// Adds the values by which the row is found, and returns the columns that are null in it.
fn condition_values(
    table: &TargetTable,
    row: &[Value],
    values: &mut Vec<TextValue>,
) -> Result<Vec<u16>, Unplannable> {
    let mut nulls = Vec::new();
    for column in looked_up(table)? {
        match text(&row[column])? {
            TextValue(None) => nulls.push(column as u16),
            value => values.push(value),
        }
    }
    Ok(nulls)
}

/// The text of the statement that a shape stands for.
pub(super) fn sql(table: &TargetTable, shape: &Shape) -> String {
    match shape {
        Shape::Insert => insert_sql(table),
        Shape::Update { set, nulls } => update_sql(table, set, nulls),
        Shape::Rewrite { given, nulls } => rewrite_sql(table, given, nulls),
        Shape::Delete { nulls } => {
            format!("DELETE FROM ONLY {} WHERE {}", table.quoted, condition(table, nulls, 0))
        }
    }
}

fn insert_sql(table: &TargetTable) -> String {
    if table.columns.is_empty() {
        return format!("INSERT INTO {} DEFAULT VALUES", table.quoted);
    }
    let names: Vec<_> = table.columns.iter().map(|c| c.quoted.as_str()).collect();
    let values: Vec<_> = (1..=names.len()).map(|n| format!("${n}")).collect();
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
        table.quoted,
        names.join(", "),
        values.join(", ")
    )
}

/// An update that sets nothing still proves that the row is there.
fn update_sql(table: &TargetTable, set: &[u16], nulls: &[u16]) -> String {
    let condition = condition(table, nulls, set.len());
    if set.is_empty() {
        return format!("SELECT 1 FROM ONLY {} WHERE {condition}", table.quoted);
    }
    let column = |i: &u16| table.columns[usize::from(*i)].quoted.as_str();
    let assign = |(n, i): (usize, &u16)| format!("{} = ${}", column(i), n + 1);
    let assignments: Vec<_> = set.iter().enumerate().map(assign).collect();
    format!("UPDATE ONLY {} SET {} WHERE {condition}", table.quoted, assignments.join(", "))
}

fn rewrite_sql(table: &TargetTable, given: &[u16], nulls: &[u16]) -> String {
    let value = |(i, column): (usize, &super::table::TargetColumn)| match given
        .iter()
        .position(|set| usize::from(*set) == i)
    {
        Some(n) => format!("${}::{}", n + 1, column.sql_type),
        None => format!("old.{}", column.quoted),
    };
    let names: Vec<_> = table.columns.iter().map(|c| c.quoted.as_str()).collect();
    let values: Vec<_> = table.columns.iter().enumerate().map(value).collect();
    format!(
        "WITH old AS (DELETE FROM ONLY {quoted} WHERE {} RETURNING *) \
         INSERT INTO {quoted} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM old",
        condition(table, nulls, given.len()),
        names.join(", "),
        values.join(", "),
        quoted = table.quoted,
    )
}

/// The condition that finds the row, with parameters after the first `used`.
fn condition(table: &TargetTable, nulls: &[u16], used: usize) -> String {
    let whole = table.lookup == Lookup::WholeRow;
    let mut parameter = used;
    let mut parts = Vec::new();
    for i in looked_up(table).unwrap_or_default() {
        let column = &table.columns[i];
        if nulls.contains(&(i as u16)) {
            parts.push(format!("{} IS NULL", column.quoted));
            continue;
        }
        parameter += 1;
        if whole {
            parts.push(identical(column, parameter));
        } else {
            let (name, equals, sql_type) = (&column.quoted, &column.equals, &column.sql_type);
            parts.push(format!("{name} {equals} ${parameter}::{sql_type}"));
        }
    }
    let found = if parts.is_empty() { "true".to_owned() } else { parts.join(" AND ") };
    if !whole {
        return found;
    }
    // Equal rows are alike: one of them is as good as the other, but only one.
    format!("ctid = (SELECT ctid FROM ONLY {} WHERE {found} LIMIT 1)", table.quoted)
}

/// Values that are equal need not be the same (1.0 and 1.00, 0 and -0), and some types have no
/// equality: a whole row is compared as text, and by `=` as well where an index may serve.
fn identical(column: &super::table::TargetColumn, parameter: usize) -> String {
    // bool, int8, int2, int4, text, varchar, date, timestamp, timestamptz, numeric, uuid
    const INDEXABLE: [u32; 11] = [16, 20, 21, 23, 25, 1043, 1082, 1114, 1184, 1700, 2950];
    let typed = format!("${parameter}::{}", column.sql_type);
    let mut text = format!("{}::text = ({typed})::text", column.quoted);
    if INDEXABLE.contains(&column.type_id) {
        let _ = write!(text, " AND {} {} {typed}", column.quoted, column.equals);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::table::TargetColumn;
    use super::*;

    fn table(lookup: Lookup) -> TargetTable {
        let column = |name: &str, sql_type: &str, type_id| TargetColumn {
            quoted: format!("\"{name}\""),
            sql_type: sql_type.to_owned(),
            type_id,
            equals: "OPERATOR(pg_catalog.=)".to_owned(),
            always_identity: name == "id",
            array_type: None,
            plain: true,
        };
        TargetTable {
            name: "public.t".to_owned(),
            quoted: "\"public\".\"t\"".to_owned(),
            columns: vec![column("id", "integer", 23), column("doc", "json", 114)],
            lookup,
            merging: super::super::table::Merging::InOrder,
        }
    }

    fn value(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn an_update_leaves_alone_what_was_not_sent() {
        let table = table(Lookup::Key(vec![0]));
        let (shape, values) = update(&table, None, &[value("1"), Value::UnchangedToast]).unwrap();
        let expected =
            r#"SELECT 1 FROM ONLY "public"."t" WHERE "id" OPERATOR(pg_catalog.=) $1::integer"#;
        assert_eq!(sql(&table, &shape), expected);
        assert_eq!(values.len(), 1);
        let (shape, values) = update(&table, None, &[value("1"), value("{}")]).unwrap();
        let expected = r#"UPDATE ONLY "public"."t" SET "doc" = $1 WHERE "id" OPERATOR(pg_catalog.=) $2::integer"#;
        assert_eq!(sql(&table, &shape), expected);
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn a_whole_row_is_found_by_its_text_and_only_one_of_equals() {
        let table = table(Lookup::WholeRow);
        let old = OldTuple::Full(vec![value("1"), Value::Null]);
        let (shape, values) = delete(&table, &old).unwrap();
        assert_eq!(
            sql(&table, &shape),
            r#"DELETE FROM ONLY "public"."t" WHERE ctid = (SELECT ctid FROM ONLY "public"."t" WHERE "#
                .to_owned()
                + r#""id"::text = ($1::integer)::text AND "id" OPERATOR(pg_catalog.=) $1::integer "#
                + r#"AND "doc" IS NULL LIMIT 1)"#
        );
        assert_eq!(values, [TextValue(Some(Bytes::from_static(b"1")))]);
    }

    #[test]
    fn a_row_without_identity_or_with_a_missing_key_is_refused() {
        let old = OldTuple::Key(vec![value("1"), Value::Null]);
        assert_eq!(delete(&table(Lookup::Nothing), &old), Err(Unplannable::NoIdentity));
        let table = table(Lookup::Key(vec![1]));
        let torn = update(&table, None, &[value("1"), Value::UnchangedToast]);
        assert_eq!(torn, Err(Unplannable::Missing));
    }
}
