//! What a database says of its tables.

use super::fault::Fault;
use super::session::Session;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeMap;
use tokio_postgres::Row;

const DOING: &str = "look up a table";

/// Schema and name of Mainstay's one table that is replicated like those of the application: what
/// was decided of salvaged transactions.
const DECIDED: (&str, &str) = ("mainstay", "decided");

/// Whether a table is Mainstay's own, of which each site has its own.
pub(crate) fn is_own(schema: &str, name: &str) -> bool {
    schema == DECIDED.0 && name != DECIDED.1
}

/// A table of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// `schema.table`, as people and configurations write it.
    pub name: String,
    /// The same, for SQL.
    pub quoted: String,
    pub oid: u32,
    /// All columns, in order.
    pub columns: Vec<String>,
    /// Those that a statement may write: not the generated ones.
    pub writable: Vec<String>,
    /// Those that the server numbers itself, which no UPDATE may set.
    pub always: Vec<String>,
    /// The columns by which a row is known, in order: of the index that is the replica identity,
    /// else of the primary key. None under replica identity nothing.
    pub key: Vec<String>,
}

impl Table {
    /// Not the one of Mainstay's that is replicated.
    pub fn is_of_application(&self) -> bool {
        self.name != format!("{}.{}", DECIDED.0, DECIDED.1)
    }
}

/// Identifiers for SQL, separated by commas.
pub(crate) fn list(columns: &[String]) -> String {
    let quoted: Vec<_> = columns.iter().map(|column| escape_identifier(column)).collect();
    quoted.join(", ")
}

/// Tables and partitions that hold rows which survive a crash, Mainstay's replicated one among
/// them. Unlogged ones are not replicated.
const TABLES: &str = "\
    SELECT n.nspname::text, c.relname::text, c.oid, a.columns, a.writable, \
           COALESCE(k.key, '{}') AS key, a.always \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    CROSS JOIN LATERAL ( \
        SELECT COALESCE(array_agg(attname::text ORDER BY attnum), '{}') AS columns, \
               COALESCE(array_agg(attname::text ORDER BY attnum) \
                        FILTER (WHERE attgenerated = ''), '{}') AS writable, \
               COALESCE(array_agg(attname::text ORDER BY attnum) \
                        FILTER (WHERE attidentity = 'a'), '{}') AS always \
        FROM pg_catalog.pg_attribute \
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(f.attname::text ORDER BY f.attnum) AS key \
        FROM pg_catalog.pg_index i \
        JOIN pg_catalog.pg_attribute f ON f.attrelid = c.oid AND f.attnum = ANY (i.indkey) \
        WHERE i.indrelid = c.oid \
              AND array_position(i.indkey::int2[], f.attnum) < i.indnkeyatts \
              AND CASE c.relreplident WHEN 'i' THEN i.indisreplident \
                                      WHEN 'n' THEN false ELSE i.indisprimary END) k ON true \
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' \
          AND (n.nspname NOT IN ('mainstay', 'information_schema') AND n.nspname !~ '^pg_' \
               OR n.nspname = 'mainstay' AND c.relname = 'decided')";

fn read(row: &Row) -> Table {
    let (schema, name): (&str, &str) = (row.get(0), row.get(1));
    Table {
        name: format!("{schema}.{name}"),
        quoted: format!("{}.{}", escape_identifier(schema), escape_identifier(name)),
        oid: row.get(2),
        columns: row.get(3),
        writable: row.get(4),
        key: row.get(5),
        always: row.get(6),
    }
}

/// Every table of the application, in the order of its names.
pub(crate) async fn tables(session: &Session) -> Result<BTreeMap<String, Table>, Fault> {
    let rows = session.rows("list the tables", TABLES, &[]).await?;
    Ok(rows.iter().map(read).map(|table| (table.name.clone(), table)).collect())
}

/// The table that people write as `name`.
pub(crate) async fn table(session: &Session, name: &str) -> Result<Option<Table>, Fault> {
    let sql = format!("{TABLES} AND n.nspname || '.' || c.relname = $1 LIMIT 1");
    Ok(session.maybe_row(DOING, &sql, &[&name]).await?.as_ref().map(read))
}

/// Key columns of the tables whose replica identity is full, where they have a primary key.
pub(crate) async fn primary_keys(
    session: &Session,
) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let sql = format!("{TABLES} AND c.relreplident = 'f'");
    let rows = session.rows("list the keys", &sql, &[]).await?;
    Ok(rows.iter().map(read).map(|table| (table.name, table.key)).collect())
}

/// Tells one cluster from every other, for as long as its history goes on.
pub(crate) async fn system(session: &Session) -> Result<String, Fault> {
    let sql = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
    Ok(session.row("read the system identifier", sql, &[]).await?.get(0))
}
