//! Tables whose replica identity has generated columns. They are not published, and from
//! PostgreSQL 18 on a publication makes the server refuse each UPDATE and DELETE of such a table
//! (release notes of 18: "Replica identity must not contain unpublished generated columns"):
//! the application's, at the source.

use super::fault::Fault;
use super::session::Session;

/// From this major on updates and deletes are refused.
pub(crate) const REFUSED_SINCE: i32 = 18;

/// Tables that could not be written to as before, once all tables are published.
pub(crate) async fn tables(session: &Session) -> Result<Vec<String>, Fault> {
    // An index holds other columns beside its key.
    const TABLES: &str = "\
        SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' \
          AND n.nspname <> 'mainstay' AND n.nspname !~ '^pg_' \
          AND n.nspname <> 'information_schema' \
          AND EXISTS (SELECT FROM pg_catalog.pg_attribute a \
              WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated <> '' \
                AND (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i \
                    WHERE i.indrelid = c.oid \
                      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary \
                                              WHEN 'i' THEN i.indisreplident ELSE false END \
                      AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))) \
        ORDER BY 1";
    let rows = session.rows("look for generated columns", TABLES, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
