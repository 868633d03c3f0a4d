//! What the columns of a table are at one side. Tables whose columns are not of the same types are
//! not compared: the answer would be about the types, not about the rows.
//!
//! The order of the columns does not matter, since every statement names them. A domain counts by
//! its base type only: its checks decide what may be written, not what a row is, and servers of
//! unequal majors write them differently.

use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use std::collections::{BTreeMap, BTreeSet};

const DOING: &str = "list the columns of the tables";
/// Reasons that are told of one table.
const TOLD: usize = 3;
/// Characters of a type's definition that are told.
const SHOWN: usize = 200;

/// All columns of a database's tables, and the types that it has beside PostgreSQL's own.
pub(in crate::postgres) struct Shapes {
    columns: BTreeMap<u32, BTreeMap<String, Column>>,
    types: BTreeMap<u32, Definition>,
}

struct Column {
    kind: u32,
    /// As people write the type, with its modifier: `character varying(40)`.
    written: String,
}

struct Definition {
    name: String,
    text: String,
    /// Types that it is made of.
    of: Vec<u32>,
}

const COLUMNS: &str = "\
    SELECT a.attrelid, a.attname::text, a.atttypid, \
           pg_catalog.format_type(a.atttypid, a.atttypmod) \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND a.attnum > 0 AND NOT a.attisdropped";

/// The first 16384 object identifiers are PostgreSQL's own (`FirstNormalObjectId`).
const TYPES: &str = "\
    SELECT t.oid, pg_catalog.format_type(t.oid, NULL), \
           CASE t.typtype \
             WHEN 'e' THEN 'enum (' || COALESCE((SELECT string_agg(quote_literal(e.enumlabel), \
                           ', ' ORDER BY e.enumsortorder) \
                           FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '') || ')' \
             WHEN 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) \
             WHEN 'r' THEN 'range of ' || pg_catalog.format_type(r.rngsubtype, NULL) \
             WHEN 'c' THEN '(' || COALESCE(a.text, '') || ')' \
             ELSE t.typtype::text END, \
           array_remove(COALESCE(a.types, '{}') || t.typelem || t.typbasetype || r.rngsubtype, 0) \
    FROM pg_catalog.pg_type t \
    LEFT JOIN pg_catalog.pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid) \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(a.atttypid) AS types, \
               string_agg(quote_ident(a.attname) || ' ' \
                          || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' \
                          ORDER BY a.attnum) AS text \
        FROM pg_catalog.pg_attribute a \
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 \
              AND NOT a.attisdropped) a ON true \
    WHERE t.oid >= 16384";

pub(super) async fn read(session: &Session) -> Result<Shapes, Fault> {
    let mut columns: BTreeMap<u32, BTreeMap<String, Column>> = BTreeMap::new();
    for row in session.rows(DOING, COLUMNS, &[]).await? {
        let column = Column { kind: row.get(2), written: row.get(3) };
        columns.entry(row.get(0)).or_default().insert(row.get(1), column);
    }
    let rows = session.rows(DOING, TYPES, &[]).await?;
    let types = rows.iter().map(|row| {
        let of: Vec<Option<u32>> = row.get(3);
        let of = of.into_iter().flatten().collect();
        (row.get(0), Definition { name: row.get(1), text: row.get(2), of })
    });
    Ok(Shapes { columns, types: types.collect() })
}

/// Why two tables, each by its identifier at its side, cannot be compared; none when they can.
pub(super) fn unlike(
    (source, here): (&Shapes, u32),
    (target, there): (&Shapes, u32),
) -> Option<String> {
    let none = BTreeMap::new();
    let left = source.columns.get(&here).unwrap_or(&none);
    let right = target.columns.get(&there).unwrap_or(&none);
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let mut reasons: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (left.get(name), right.get(name)) {
            (Some(left), Some(right)) => types(name, (source, left), (target, right)),
            (Some(column), None) => Some(only(name, column, "source")),
            (None, Some(column)) => Some(only(name, column, "target")),
            (None, None) => None,
        })
        .collect();
    let more = reasons.len().saturating_sub(TOLD);
    reasons.truncate(TOLD);
    if more > 0 {
        reasons.push(format!("and {more} more columns"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn only(name: &str, column: &Column, side: &str) -> String {
    format!("column {name:?} ({}) is only at the {side}", column.written)
}

fn types(
    name: &str,
    (source, left): (&Shapes, &Column),
    (target, right): (&Shapes, &Column),
) -> Option<String> {
    if left.written != right.written {
        let (left, right) = (&left.written, &right.written);
        return Some(format!("column {name:?} is {left} at the source, {right} at the target"));
    }
    let (here, there) = (source.made_of(left.kind), target.made_of(right.kind));
    let (kind, left) = here.iter().find(|(kind, text)| there.get(*kind) != Some(*text))?;
    let right = there.get(kind).map_or_else(|| "missing".to_owned(), |text| abridged(text));
    let left = abridged(left);
    Some(format!("column {name:?}: type {kind} is {left} at the source, {right} at the target"))
}

impl Shapes {
    /// Names and definitions of all types that a value of this type holds.
    fn made_of(&self, kind: u32) -> BTreeMap<&str, &str> {
        let (mut found, mut seen, mut open) = (BTreeMap::new(), BTreeSet::new(), vec![kind]);
        while let Some(next) = open.pop() {
            if let (true, Some(definition)) = (seen.insert(next), self.types.get(&next)) {
                found.insert(definition.name.as_str(), definition.text.as_str());
                open.extend(&definition.of);
            }
        }
        found
    }
}

fn abridged(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
