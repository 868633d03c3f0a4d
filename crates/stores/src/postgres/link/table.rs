//! A table of the target, checked against what the source said of it.

use super::failure::LinkError;
use super::sql::Sql;
use super::unit::SourceTable;
use crate::postgres::replication::quote_identifier;
use mainstay_wire::pgoutput::{Column, Identity, Relation, TypeName};
use tokio_postgres::Row;

/// Types below have the same number in every PostgreSQL (`FirstGenbkiObjectId`).
const BUILT_IN: u32 = 10_000;

/// How a row that the source changed is found at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// By columns that are unique together.
    Key(Vec<usize>),
    /// By all columns, one of equal rows (`REPLICA IDENTITY FULL` without a primary key).
    WholeRow,
    /// Not at all: only inserts can be applied.
    Nothing,
}

#[derive(Debug)]
pub(super) struct TargetTable {
    /// As people write it.
    pub name: String,
    /// As SQL writes it.
    pub quoted: String,
    /// In the source's order.
    pub columns: Vec<TargetColumn>,
    pub lookup: Lookup,
    pub merging: Merging,
}

/// How far changes of a table may be merged and reordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merging {
    /// Not at all: rows have no key of their own, or triggers of the target see each change.
    InOrder,
    /// Neighbouring changes come to one change a row. Other constraints than the key could meet
    /// rows of the transaction before, so that one has to be done first.
    Net,
    /// As `Net`, and rows with unlike keys have nothing to do with each other.
    Independent,
}

#[derive(Debug)]
pub(super) struct TargetColumn {
    pub quoted: String,
    /// As SQL writes the type.
    pub sql_type: String,
    pub type_id: u32,
    /// The type's own `=`, with its schema.
    pub equals: String,
    /// `GENERATED ALWAYS AS IDENTITY`: PostgreSQL accepts no UPDATE of it.
    pub always_identity: bool,
    /// The type of arrays of it as SQL writes it, where there is one whose elements are separated
    /// by commas.
    pub array_type: Option<String>,
    /// Values are equal exactly when their texts are.
    pub plain: bool,
}

/// A column as the target's catalog has it. The name of a domain is that of its base type, as
/// `pgoutput` sends it.
struct Found {
    name: String,
    type_id: u32,
    type_modifier: i32,
    base_schema: String,
    base_name: String,
    generated: bool,
    primary: bool,
    number: i16,
    column: TargetColumn,
}

/// What else bears on how a table's changes may be applied.
#[derive(Debug, Default)]
struct Traits {
    /// The columns of each unique index that holds at once, for all rows, by number.
    unique: Vec<Vec<i16>>,
    /// All unique and exclusion indexes, of any kind.
    constraints: i64,
    /// Triggers or rules that fire in a replicating session as well.
    fires: bool,
}

const COLUMNS: &str = "
SELECT c.relkind = 'r' AS plain, a.attname::text AS name, a.atttypid, a.atttypmod,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS sql_type,
       a.attidentity = 'a' AS always_identity, a.attgenerated <> '' AS generated,
       bn.nspname::text AS base_schema, b.typname::text AS base_name,
       coalesce(eq.operator, 'OPERATOR(pg_catalog.=)') AS equals,
       coalesce(a.attnum = ANY (pk.indkey), false) AS is_primary,
       a.attnum AS number,
       CASE WHEN t.typarray <> 0 AND t.typdelim = ',' AND e.typdelim = ','
            THEN pg_catalog.format_type(t.typarray, -1) END AS array_type,
       -- bool, bytea, int8, int2, int4, text, oid, date, timestamp, timestamptz, uuid, enums;
       -- text only under a collation that tells unlike bytes apart.
       t.typtype = 'e' OR t.oid IN (16, 17, 20, 21, 23, 26, 1082, 1114, 1184, 2950)
            OR t.oid IN (25, 1043) AND coalesce(l.collisdeterministic, true) AS plain
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index pk
       ON pk.indrelid = c.oid AND pk.indisprimary AND pk.indimmediate AND pk.indisvalid
LEFT JOIN pg_catalog.pg_attribute a
       ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typarray
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN LATERAL (
    WITH RECURSIVE up AS (
        SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype
        FROM up JOIN pg_catalog.pg_type t ON up.typtype = 'd' AND t.oid = up.typbasetype)
    SELECT up.oid FROM up WHERE up.typtype <> 'd') base ON true
LEFT JOIN pg_catalog.pg_type b ON b.oid = base.oid
LEFT JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
LEFT JOIN LATERAL (
    SELECT pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, o.oprname) AS operator
    FROM pg_catalog.pg_opclass k
    JOIN pg_catalog.pg_am m ON m.oid = k.opcmethod AND m.amname = 'btree'
    JOIN pg_catalog.pg_amop ao ON ao.amopfamily = k.opcfamily AND ao.amopstrategy = 3
         AND ao.amoplefttype = k.opcintype AND ao.amoprighttype = k.opcintype
    JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr
    JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace
    WHERE k.opcdefault AND k.opcintype = b.oid LIMIT 1) eq ON true
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum";

const TRAITS: &str = "
SELECT ARRAY(SELECT i.indkey::text FROM pg_catalog.pg_index i
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
               AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts),
       (SELECT count(*) FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)),
       EXISTS (SELECT FROM pg_catalog.pg_trigger g
               WHERE g.tgrelid = c.oid AND g.tgenabled IN ('R', 'A') AND NOT g.tgisinternal)
       OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                  WHERE r.ev_class = c.oid AND r.ev_enabled IN ('R', 'A'))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";

/// Looks the table up at the target; an error when its columns are not the source's.
pub(super) async fn find(sql: &Sql, source: &SourceTable) -> Result<TargetTable, LinkError> {
    let relation = &source.relation;
    let rows = sql.rows("look a table up", COLUMNS, &[&relation.schema, &relation.name]).await?;
    let mismatch = |what: String| LinkError::Mismatch { place: sql.place().to_owned(), what };
    match rows.first() {
        None => return Err(mismatch(format!("the table {} does not exist", source.name()))),
        Some(row) if !row.get::<_, bool>("plain") => {
            return Err(mismatch(format!("{} is not a plain table there", source.name())));
        }
        Some(_) => {}
    }
    let found = rows.iter().filter_map(Found::read).collect();
    let traits = traits(sql, relation).await?;
    build(source, found, &traits).map_err(mismatch)
}

async fn traits(sql: &Sql, relation: &Relation) -> Result<Traits, LinkError> {
    let rows = sql.rows("look a table up", TRAITS, &[&relation.schema, &relation.name]).await?;
    let Some(row) = rows.first() else { return Ok(Traits::default()) };
    let numbers = |text: &str| text.split(' ').filter_map(|n| n.parse().ok()).collect();
    let unique: Vec<&str> = row.get(0);
    Ok(Traits {
        unique: unique.into_iter().map(numbers).collect(),
        constraints: row.get(1),
        fires: row.get(2),
    })
}

impl Found {
    /// None for the one row of a table without columns.
    fn read(row: &Row) -> Option<Self> {
        let name: Option<String> = row.get("name");
        let name = name?;
        let column = TargetColumn {
            quoted: quote_identifier(&name),
            sql_type: row.get("sql_type"),
            type_id: row.get("atttypid"),
            equals: row.get("equals"),
            always_identity: row.get("always_identity"),
            array_type: row.get("array_type"),
            plain: row.get::<_, Option<bool>>("plain").unwrap_or(false),
        };
        Some(Found {
            name,
            type_id: column.type_id,
            type_modifier: row.get("atttypmod"),
            base_schema: row.get("base_schema"),
            base_name: row.get("base_name"),
            generated: row.get("generated"),
            primary: row.get("is_primary"),
            number: row.get("number"),
            column,
        })
    }
}

fn build(
    source: &SourceTable,
    mut found: Vec<Found>,
    traits: &Traits,
) -> Result<TargetTable, String> {
    let name = source.name();
    found.retain(|column| !column.generated);
    let primary = primary(source, &found);
    let mut columns = Vec::with_capacity(found.len());
    let mut numbers = Vec::with_capacity(found.len());
    for (column, type_name) in source.relation.columns.iter().zip(&source.types) {
        let place = found.iter().position(|f| f.name == column.name).ok_or_else(|| {
            format!("the column {} of {name} does not exist, or is generated there", column.name)
        })?;
        let here = found.swap_remove(place);
        same_type(column, type_name.as_ref(), &here).map_err(|why| format!("{name}: {why}"))?;
        numbers.push(here.number);
        columns.push(here.column);
    }
    if let Some(extra) = found.first() {
        return Err(format!("the column {} of {name} does not exist at the source", extra.name));
    }
    let identity = identity(&source.relation.columns);
    let lookup = lookup(source.relation.identity, primary, &identity);
    let quoted = format!(
        "{}.{}",
        quote_identifier(&source.relation.schema),
        quote_identifier(&source.relation.name)
    );
    let merging = merging(&lookup, &columns, &numbers, traits);
    Ok(TargetTable { name, quoted, columns, lookup, merging })
}

/// What a table without a key takes is rows, in any order.
fn merging(lookup: &Lookup, columns: &[TargetColumn], numbers: &[i16], traits: &Traits) -> Merging {
    if traits.fires || columns.is_empty() {
        return Merging::InOrder;
    }
    let Lookup::Key(key) = lookup else {
        return if traits.constraints == 0 { Merging::Independent } else { Merging::Net };
    };
    let mut key_numbers: Vec<i16> = key.iter().map(|i| numbers[*i]).collect();
    key_numbers.sort_unstable();
    let is_key = |index: &Vec<i16>| {
        let mut index = index.clone();
        index.sort_unstable();
        index == key_numbers
    };
    if !traits.unique.iter().any(is_key) {
        return Merging::InOrder;
    }
    let plain = key.iter().all(|i| columns[*i].plain);
    if plain && traits.constraints == 1 { Merging::Independent } else { Merging::Net }
}

/// The target's primary key in the source's numbering.
fn primary(source: &SourceTable, found: &[Found]) -> Vec<usize> {
    let is_primary = |name: &str| found.iter().any(|f| f.primary && f.name == name);
    let columns = source.relation.columns.iter().enumerate();
    columns.filter(|(_, c)| is_primary(&c.name)).map(|(i, _)| i).collect()
}

fn identity(columns: &[Column]) -> Vec<usize> {
    columns.iter().enumerate().filter(|(_, c)| c.key).map(|(i, _)| i).collect()
}

/// With the whole old row at hand the target's primary key finds the row just as well.
fn lookup(identity: Identity, primary: Vec<usize>, columns: &[usize]) -> Lookup {
    match identity {
        Identity::Full if !primary.is_empty() => Lookup::Key(primary),
        Identity::Full => Lookup::WholeRow,
        _ if columns.is_empty() => Lookup::Nothing,
        _ => Lookup::Key(columns.to_vec()),
    }
}

fn same_type(column: &Column, name: Option<&TypeName>, here: &Found) -> Result<(), String> {
    let same = match name {
        _ if column.type_modifier != here.type_modifier => false,
        _ if column.type_id < BUILT_IN => column.type_id == here.type_id,
        Some(name) => name.schema == here.base_schema && name.name == here.base_name,
        None => false,
    };
    if same {
        return Ok(());
    }
    Err(format!(
        "the column {} has another type at the source than here, where it is {}",
        column.name, here.column.sql_type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(identity: Identity, columns: &[(&str, bool)]) -> SourceTable {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, key)| Column {
                key: *key,
                name: (*name).to_owned(),
                type_id: 25,
                type_modifier: -1,
            })
            .collect();
        let types = vec![None; columns.len()];
        let relation =
            Relation { id: 1, schema: "public".into(), name: "t".into(), identity, columns };
        SourceTable { relation, types }
    }

    fn found(name: &str, primary: bool) -> Found {
        Found {
            name: name.to_owned(),
            type_id: 25,
            type_modifier: -1,
            base_schema: "pg_catalog".into(),
            base_name: "text".into(),
            generated: false,
            primary,
            number: 1,
            column: TargetColumn {
                quoted: quote_identifier(name),
                sql_type: "text".into(),
                type_id: 25,
                equals: "=".into(),
                always_identity: false,
                array_type: Some("text[]".into()),
                plain: true,
            },
        }
    }

    #[test]
    fn columns_are_matched_by_name_in_the_sources_order() {
        let source = source(Identity::Default, &[("a", true), ("b", false)]);
        let table =
            build(&source, vec![found("b", false), found("a", true)], &Traits::default()).unwrap();
        let names: Vec<_> = table.columns.iter().map(|c| c.quoted.as_str()).collect();
        assert_eq!(names, [r#""a""#, r#""b""#]);
        assert_eq!(table.lookup, Lookup::Key(vec![0]));
    }

    #[test]
    fn a_missing_an_extra_and_an_unlike_column_are_named() {
        let source = source(Identity::Default, &[("a", true)]);
        let missing = build(&source, vec![], &Traits::default()).unwrap_err();
        assert!(missing.contains("the column a of public.t does not exist"), "{missing}");
        let extra = build(&source, vec![found("a", true), found("b", false)], &Traits::default())
            .unwrap_err();
        assert!(extra.contains("the column b of public.t does not exist at"), "{extra}");
        let unlike =
            build(&source, vec![Found { type_id: 23, ..found("a", true) }], &Traits::default())
                .unwrap_err();
        assert!(unlike.contains("another type"), "{unlike}");
    }

    #[test]
    fn under_identity_full_the_primary_key_finds_the_row_where_there_is_one() {
        let source = source(Identity::Full, &[("a", true), ("b", true)]);
        let with =
            build(&source, vec![found("a", false), found("b", true)], &Traits::default()).unwrap();
        assert_eq!(with.lookup, Lookup::Key(vec![1]));
        let without =
            build(&source, vec![found("a", false), found("b", false)], &Traits::default()).unwrap();
        assert_eq!(without.lookup, Lookup::WholeRow);
    }
}
