//! Running a statement at the target as it was run at the source: with the rights and the settings
//! of the one who ran it.

use crate::postgres::link::sql::Sql;
use crate::postgres::replication::quote_identifier;
use crate::postgres::session::reason;
use std::collections::BTreeMap;

/// Under the link's session, whose user may do anything, the statement could take that user's
/// rights back from within a function of the application. In a function that belongs to its author
/// PostgreSQL lets nobody change the role.
const FUNCTION: &str = "pg_temp.mainstay_schema_change(text)";
const MAKE: &str = "CREATE OR REPLACE FUNCTION pg_temp.mainstay_schema_change(statement text) \
     RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN EXECUTE statement; END$$";
const CALL: &str = "SELECT pg_temp.mainstay_schema_change($1)";

/// What the session has for rows, and a statement must not have.
const FOR_ROWS: [(&str, &str); 7] = [
    ("enable_seqscan", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_memoize", "on"),
    ("enable_material", "on"),
    ("plan_cache_mode", "auto"),
];

/// Why a statement was not run.
pub(super) struct Failed {
    pub why: String,
    /// None when the connection was lost.
    pub sqlstate: Option<String>,
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        let sqlstate = error.code().map(|code| code.code().to_owned());
        Self { why: reason(&error), sqlstate }
    }
}

/// Within the transaction; afterwards its settings are what they were. Rows that one statement
/// changed together may wait for each other's constraints, a schema change waits for none.
pub(super) async fn run(
    sql: &Sql,
    role: &str,
    settings: &BTreeMap<String, String>,
    statement: &str,
) -> Result<(), Failed> {
    let client = sql.client();
    let mut wanted: Vec<(&str, &str)> = FOR_ROWS.to_vec();
    wanted.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let owner = quote_identifier(role);
    client
        .batch_execute(&format!(
            "SET CONSTRAINTS ALL IMMEDIATE; {MAKE}; ALTER FUNCTION {FUNCTION} OWNER TO {owner}"
        ))
        .await?;
    let before = set(sql, &wanted).await?;
    client.query(CALL, &[&statement]).await?;
    let before: Vec<_> = before.iter().map(|(name, value)| (*name, value.as_str())).collect();
    set(sql, &before).await?;
    client
        .batch_execute(&format!("DROP FUNCTION {FUNCTION}; SET CONSTRAINTS ALL DEFERRED"))
        .await?;
    Ok(())
}

/// Until the transaction's end; returns what the settings were. Those that this server does not
/// know have no meaning for it either.
async fn set<'a>(
    sql: &Sql,
    settings: &[(&'a str, &str)],
) -> Result<Vec<(&'a str, String)>, tokio_postgres::Error> {
    const SET: &str = "SELECT name, before, CASE WHEN before IS NOT NULL THEN \
                              pg_catalog.set_config(name, value, true) END \
         FROM (SELECT name, value, pg_catalog.current_setting(name, true) AS before \
               FROM unnest($1::text[], $2::text[]) AS s (name, value) OFFSET 0) s";
    let names: Vec<_> = settings.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = settings.iter().map(|(_, value)| *value).collect();
    let rows = sql.client().query(SET, &[&names, &values]).await?;
    let before = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(1);
    Ok(rows.iter().zip(names).filter_map(|(row, name)| Some((name, before(row)?))).collect())
}
