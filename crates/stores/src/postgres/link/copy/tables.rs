//! Which tables there are, and whether the target is fit for a first copy.

use super::super::failure::LinkError;
use super::super::receive::PUBLICATION;
use super::super::sql::Sql;
use crate::postgres::replication::quote_identifier;
use std::collections::BTreeSet;

/// A published table of the source.
#[derive(Debug, Clone)]
pub(super) struct SourceTable {
    /// As people write it.
    pub name: String,
    /// As SQL writes it.
    pub quoted: String,
    /// As SQL writes the list; empty for a table without columns.
    pub columns: String,
    /// Every column's binary form reads the same in another database. Types that are made there
    /// have other numbers there, and some forms contain such numbers.
    pub binary: bool,
    /// It belongs to an extension, which may have filled it.
    pub of_extension: bool,
    pub oid: u32,
    /// Its columns in full: equal for two tables between which rows can be copied.
    pub shape: String,
    /// Bytes, with what is stored out of line; without indexes.
    pub size: u64,
    /// Of the table itself.
    pub pages: u64,
    pub page_size: u64,
    /// The target can empty it without touching others, so it may be copied in several
    /// transactions, or frozen.
    pub may_split: bool,
}

/// A plain table of the target, outside Mainstay's own schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Present {
    pub name: String,
    pub quoted: String,
    pub of_extension: bool,
}

/// Values of generated columns are computed anew; PostgreSQL 15 names them in a publication.
pub(super) async fn published(source: &Sql) -> Result<Vec<SourceTable>, LinkError> {
    const LIST: &str = "
        SELECT p.schemaname::text, p.tablename::text,
               coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                        FILTER (WHERE a.attname IS NOT NULL), '{}'),
               coalesce(bool_and(tn.nspname = 'pg_catalog' AND t.typtype IN ('b', 'r', 'm')
                        AND t.typsend <> 0 AND t.typname !~ '^_?reg'
                        AND coalesce(e.typtype, 'b') IN ('b', 'r', 'm')), true),
               EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                       AND d.objid = c.oid AND d.deptype = 'e'),
               c.oid,
               coalesce((SELECT string_agg(format('%s %I %s %s', b.attnum, b.attname,
                                format_type(b.atttypid, b.atttypmod), b.attgenerated), ', '
                                ORDER BY b.attnum)
                         FROM pg_attribute b
                         WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped), ''),
               coalesce(pg_table_size(c.oid), 0), coalesce(pg_relation_size(c.oid), 0),
               current_setting('block_size')::int8
        FROM pg_publication_tables p
        JOIN pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (p.attnames)
                                AND a.attgenerated = ''
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
        LEFT JOIN pg_type e ON e.oid = t.typelem
        WHERE p.pubname = $1 AND (p.schemaname <> 'mainstay' OR p.tablename = 'decided')
        GROUP BY p.schemaname, p.tablename, c.oid";
    let rows = source.rows("list the published tables", LIST, &[&PUBLICATION]).await?;
    Ok(rows.iter().map(SourceTable::read).collect())
}

impl SourceTable {
    fn read(row: &tokio_postgres::Row) -> Self {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        let columns: Vec<&str> = row.get(2);
        let columns: Vec<_> = columns.into_iter().map(quote_identifier).collect();
        let bytes = |column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        let page_size = bytes(9).max(1);
        Self {
            name: format!("{schema}.{name}"),
            quoted: format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
            columns: columns.join(", "),
            binary: row.get(3),
            of_extension: row.get(4),
            oid: row.get(5),
            shape: row.get(6),
            size: bytes(7),
            pages: bytes(8) / page_size,
            page_size,
            may_split: false,
        }
    }

    #[cfg(test)]
    pub fn example(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            quoted: name.to_owned(),
            columns: "id".to_owned(),
            binary: true,
            of_extension: false,
            oid: 1,
            shape: String::new(),
            size: 0,
            pages: 0,
            page_size: 8192,
            may_split: true,
        }
    }
}

pub(super) async fn present(target: &Sql) -> Result<BTreeSet<Present>, LinkError> {
    const LIST: &str = "
        SELECT n.nspname::text, c.relname::text,
               EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                       AND d.objid = c.oid AND d.deptype = 'e')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence = 'p'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'mainstay')";
    let rows = target.rows("list the target's tables", LIST, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        Present {
            name: format!("{schema}.{name}"),
            quoted: format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
            of_extension: row.get(2),
        }
    };
    Ok(rows.iter().map(read).collect())
}

pub(super) async fn must_be_empty(target: &Sql, here: &BTreeSet<Present>) -> Result<(), LinkError> {
    for table in here.iter().filter(|table| !table.of_extension) {
        let first = format!("SELECT FROM ONLY {} LIMIT 1", table.quoted);
        if !target.rows("look for rows", &first, &[]).await?.is_empty() {
            let (place, table) = (target.place().to_owned(), table.name.clone());
            return Err(LinkError::NotEmpty { place, table });
        }
    }
    Ok(())
}

/// Every published table must be there; their columns are compared when rows come. Mainstay's own
/// is made when the database is prepared.
pub(super) fn must_match(
    target: &Sql,
    published: &[SourceTable],
    here: &BTreeSet<Present>,
) -> Result<(), LinkError> {
    let names: BTreeSet<_> = here.iter().map(|table| table.name.as_str()).collect();
    let missing = |table: &&SourceTable| {
        table.name != "mainstay.decided" && !names.contains(table.name.as_str())
    };
    match published.iter().find(missing) {
        None => Ok(()),
        Some(missing) => Err(LinkError::Mismatch {
            place: target.place().to_owned(),
            what: format!(
                "the table {} does not exist, although others do (a target without any tables is \
                 given those of the source)",
                missing.name
            ),
        }),
    }
}

/// A table that a foreign key leads to cannot be emptied alone, and one of an extension is filled
/// by it.
pub(super) async fn find_splittable(
    target: &Sql,
    tables: &mut [SourceTable],
) -> Result<(), LinkError> {
    const REFERENCED: &str = "
        SELECT DISTINCT n.nspname::text || '.' || c.relname::text
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype = 'f'";
    let rows = target.rows("look for foreign keys", REFERENCED, &[]).await?;
    let referenced: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    for table in tables {
        table.may_split = !table.of_extension
            && !table.columns.is_empty()
            && !referenced.contains(table.name.as_str());
    }
    Ok(())
}
