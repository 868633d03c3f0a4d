//! How a table is cut into ranges of its key, so that only those that differ are read row by row.

use super::interrupted;
use super::settled::Bytes;
use crate::postgres::catalog::Table;
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::BTreeSet;

const DOING: &str = "cut a table into ranges";
/// Bounds at most.
const BOUNDS: u32 = 255;
/// Pages that are looked at for them.
const SAMPLED: u32 = 400;

/// Ranges of the first column of a table's key: the one at index `i` begins with bound `i - 1` and
/// ends before bound `i`. Without bounds all rows are in one.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// The column as SQL writes it, in an order that is the same at both sides.
    column: String,
    /// SQL constants, in that order.
    bounds: Vec<String>,
    /// The bounds as floats, where each of them is exact as one: these are looked up the fastest
    /// (`width_bucket` calls no comparison function for them).
    floats: Option<Vec<String>>,
}

/// Whole numbers up to here are exact as floats of 64 bits. Every other is at the same side of such
/// a bound as its float is.
const EXACT: u64 = 1 << 53;

impl Ranges {
    /// From a sample of the table. Its rows need not be spread evenly over them.
    pub async fn of(session: &Session, table: &Table, bytes: Bytes) -> Result<Self, Fault> {
        let Some(name) = table.key.first() else { return Ok(Self::default()) };
        let Some(kind) = kind(session, table, name).await? else { return Ok(Self::default()) };
        // The order of text by its bytes is that of its encoding.
        if (kind, bytes) == (Kind::Text, Bytes::Converted) {
            return Ok(Self::default());
        }
        let column = kind.column(name);
        let sql = format!(
            "SELECT b::text FROM (SELECT DISTINCT b FROM unnest(( \
                 SELECT percentile_disc(ARRAY(SELECT i / {ranges}.0 FROM generate_series(1, {BOUNDS}) i)) \
                        WITHIN GROUP (ORDER BY {column}) \
                 FROM {table} TABLESAMPLE SYSTEM (( \
                     greatest(0.001, least(100, {SAMPLED} * 100.0 * current_setting('block_size')::int8 \
                                                / greatest(1, pg_relation_size({oid}))))) \
                     ::float4) \
             )) u (b)) d ORDER BY d.b {collation}",
            ranges = BOUNDS + 1,
            table = table.quoted,
            oid = table.oid,
            collation = if kind == Kind::Text { BY_BYTES } else { "" },
        );
        let rows = session.rows(DOING, &sql, &[]).await;
        let rows = rows.map_err(|fault| interrupted(session, fault.to_string()))?;
        let texts: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let bounds = texts.iter().map(|text| kind.constant(text)).collect();
        Ok(Self { column, bounds, floats: kind.floats(&texts) })
    }

    /// SQL for the index of a row's range.
    pub fn index(&self) -> String {
        match &self.floats {
            _ if self.bounds.is_empty() => "0".to_owned(),
            Some(floats) => {
                let floats = floats.join(",");
                format!("width_bucket({}::float8, '{{{floats}}}'::float8[])", self.column)
            }
            None => format!("width_bucket({}, ARRAY[{}])", self.column, self.bounds.join(", ")),
        }
    }

    /// SQL for the rows that are in one of these ranges.
    pub fn within(&self, indexes: &BTreeSet<i32>) -> String {
        if indexes.len() > self.bounds.len() {
            return "true".to_owned();
        }
        let runs = runs(indexes).into_iter().map(|(first, last)| self.between(first, last));
        runs.collect::<Vec<_>>().join(" OR ")
    }

    /// A range's own bounds; the first range has no lower one, the last no upper one.
    fn between(&self, first: i32, last: i32) -> String {
        let bound = |index: i32| self.bounds.get(usize::try_from(index).ok()?);
        let from = bound(first - 1).map(|bound| format!("{} >= {bound}", self.column));
        let to = bound(last).map(|bound| format!("{} < {bound}", self.column));
        let both: Vec<_> = from.into_iter().chain(to).collect();
        if both.is_empty() { "true".to_owned() } else { format!("({})", both.join(" AND ")) }
    }
}

/// Neighbours together: first and last of each run.
fn runs(indexes: &BTreeSet<i32>) -> Vec<(i32, i32)> {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    runs
}

/// Collations differ between machines.
const BY_BYTES: &str = "COLLATE \"C\"";

/// Types whose order is the same on every server, of every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordered(&'static str),
    Text,
}

impl Kind {
    fn column(self, name: &str) -> String {
        let name = escape_identifier(name);
        match self {
            Kind::Ordered(_) => name,
            Kind::Text => format!("({name}::text {BY_BYTES})"),
        }
    }

    fn floats(self, bounds: &[&str]) -> Option<Vec<String>> {
        let whole = matches!(self, Kind::Ordered("int2" | "int4" | "int8"));
        let exact = |text: &&str| {
            let bound: i64 = text.parse().ok()?;
            (bound.unsigned_abs() <= EXACT).then(|| bound.to_string())
        };
        if whole { bounds.iter().map(exact).collect() } else { None }
    }

    /// Of the column's own type, so that an index of it can be used.
    fn constant(self, text: &str) -> String {
        let text = escape_literal(text);
        match self {
            Kind::Ordered(name) => format!("{text}::{name}"),
            Kind::Text => text + "::text",
        }
    }
}

async fn kind(session: &Session, table: &Table, column: &str) -> Result<Option<Kind>, Fault> {
    const TYPE: &str = "SELECT t.typname::text FROM pg_catalog.pg_attribute a \
                        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                        WHERE a.attrelid = $1 AND a.attname = $2 \
                              AND t.typnamespace = 'pg_catalog'::regnamespace";
    const ORDERED: [&str; 5] = ["int2", "int4", "int8", "numeric", "uuid"];
    let row = session.maybe_row(DOING, TYPE, &[&table.oid, &column]).await?;
    let Some(name) = row.as_ref().map(|row| row.get::<_, &str>(0)) else { return Ok(None) };
    let ordered = ORDERED.into_iter().find(|ordered| *ordered == name).map(Kind::Ordered);
    Ok(ordered.or(matches!(name, "text" | "varchar").then_some(Kind::Text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(bounds: &[&str]) -> Ranges {
        let bounds = bounds.iter().map(|bound| (*bound).to_owned()).collect();
        Ranges { column: "id".to_owned(), bounds, floats: None }
    }

    #[test]
    fn neighbouring_ranges_are_one_condition_and_the_ends_are_open() {
        let ranges = ranges(&["10", "20", "30"]);
        let within = |indexes: &[i32]| ranges.within(&indexes.iter().copied().collect());
        assert_eq!(within(&[0]), "(id < 10)");
        assert_eq!(within(&[1, 2]), "(id >= 10 AND id < 30)");
        assert_eq!(within(&[0, 3]), "(id < 10) OR (id >= 30)");
        assert_eq!(within(&[0, 1, 2, 3]), "true");
    }

    #[test]
    fn whole_numbers_are_looked_up_as_floats_while_all_bounds_are_exact_as_such() {
        let (int8, numeric) = (Kind::Ordered("int8"), Kind::Ordered("numeric"));
        let exact = ["-9007199254740992", "0", "9007199254740992"];
        assert_eq!(int8.floats(&exact), Some(exact.map(str::to_owned).to_vec()));
        assert_eq!(int8.floats(&["0", "9007199254740993"]), None);
        assert_eq!(numeric.floats(&["0"]), None);
        let floats = int8.floats(&["-5", "7"]);
        let ranges = Ranges { floats, ..ranges(&["'-5'::int8", "'7'::int8"]) };
        assert_eq!(ranges.index(), "width_bucket(id::float8, '{-5,7}'::float8[])");
    }

    #[test]
    fn without_bounds_all_rows_are_in_one_range() {
        let ranges = ranges(&[]);
        assert_eq!(ranges.index(), "0");
        assert_eq!(ranges.within(&BTreeSet::from([0])), "true");
    }
}
