//! What is in the database that logical replication does not carry.

use crate::postgres::fault::Fault;
use crate::postgres::generated;
use crate::postgres::session::Session;
use mainstay_core::Finding;

const DOING: &str = "look through the tables";

/// More of one kind are counted, not listed.
const LISTED: usize = 20;

const APPLICATION: &str = "n.nspname <> 'mainstay' AND n.nspname !~ '^pg_' \
     AND n.nspname <> 'information_schema'";

pub(super) async fn findings(place: &str, session: &Session) -> Result<Vec<Finding>, Fault> {
    let mut found = keyless(place, session).await?;
    found.extend(unlogged(place, session).await?);
    found.extend(large_objects(place, session).await?);
    found.extend(foreign_rights(place, session).await?);
    Ok(found)
}

/// As soon as the tables are published, the server refuses what the application does to these.
/// `major` is the newest of the store's servers, each of which has the tables some day.
pub(super) fn refused(place: &str, tables: &[String], major: i32) -> Vec<Finding> {
    if major < generated::REFUSED_SINCE {
        return Vec::new();
    }
    let one = |table: &String| {
        let what = format!(
            "the replica identity of {table} has generated columns: with a publication \
             PostgreSQL {major} refuses its updates and deletes"
        );
        let advice = format!(
            "Give it a primary key without generated columns, then: ALTER TABLE {table} REPLICA \
             IDENTITY DEFAULT; or name another unique index: REPLICA IDENTITY USING INDEX ...;"
        );
        Finding::error("MS-PG-317", place, what, advice)
    };
    let mut found: Vec<_> = tables.iter().take(LISTED).map(one).collect();
    found.extend(more(place, "MS-PG-317", "tables have such an identity", tables.len()));
    found
}

/// A table whose rows cannot be told apart. Under replica identity full it replicates, but what is
/// salvaged of it cannot be put right row by row.
async fn keyless(place: &str, session: &Session) -> Result<Vec<Finding>, Fault> {
    let sql = format!(
        "SELECT n.nspname || '.' || c.relname, c.relreplident = 'f' \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {APPLICATION} \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid \
                   AND CASE c.relreplident WHEN 'i' THEN i.indisreplident \
                                           WHEN 'n' THEN false ELSE i.indisprimary END) \
         ORDER BY 1"
    );
    let rows = session.rows(DOING, &sql, &[]).await?;
    let one = |table: &str, full: bool| {
        if full { by_whole_rows(place, table) } else { without_key(place, table) }
    };
    let mut found: Vec<_> =
        rows.iter().take(LISTED).map(|row| one(row.get(0), row.get(1))).collect();
    found.extend(more(place, "MS-PG-308", "tables have no key", rows.len()));
    Ok(found)
}

fn without_key(place: &str, table: &str) -> Finding {
    Finding::error(
        "MS-PG-308",
        place,
        format!("table {table} has no key: its updates and deletes cannot be replicated"),
        format!(
            "Give it a primary key: ALTER TABLE {table} ADD PRIMARY KEY (...); or, if its rows \
                 are unique together, ALTER TABLE {table} REPLICA IDENTITY USING INDEX ...;"
        ),
    )
}

fn by_whole_rows(place: &str, table: &str) -> Finding {
    Finding::warning(
        "MS-PG-309",
        place,
        format!(
            "table {table} has no key: after a failover it has to be copied anew, because what \
                 is salvaged of it cannot be put right row by row"
        ),
        format!("ALTER TABLE {table} ADD PRIMARY KEY (...);"),
    )
}

async fn unlogged(place: &str, session: &Session) -> Result<Vec<Finding>, Fault> {
    let sql = format!(
        "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND {APPLICATION} ORDER BY 1"
    );
    let rows = session.rows(DOING, &sql, &[]).await?;
    let one = |table: &str| {
        let what = format!("table {table} is unlogged: it will be empty at the other site");
        let advice = format!("ALTER TABLE {table} SET LOGGED; if its rows must survive.");
        Finding::warning("MS-PG-310", place, what, advice)
    };
    let mut found: Vec<_> = rows.iter().take(LISTED).map(|row| one(row.get(0))).collect();
    found.extend(more(place, "MS-PG-310", "tables are unlogged", rows.len()));
    Ok(found)
}

/// Logical decoding does not see large objects (PostgreSQL manual, "Logical Replication:
/// Restrictions").
async fn large_objects(place: &str, session: &Session) -> Result<Vec<Finding>, Fault> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let count: i64 = session.row(DOING, sql, &[]).await?.get(0);
    let what = format!("the database has {count} large objects, which cannot be replicated");
    let advice = "Move them to a bytea column: UPDATE ... SET data = lo_get(reference); then remove \
                  them: SELECT lo_unlink(oid) FROM pg_largeobject_metadata;";
    Ok((count > 0).then(|| Finding::error("MS-PG-311", place, what, advice)).into_iter().collect())
}

/// The link writes rows as Mainstay's user, and what a table evaluates for each row runs with that
/// user's rights then.
async fn foreign_rights(place: &str, session: &Session) -> Result<Vec<Finding>, Fault> {
    let sql = format!(
        "SELECT DISTINCT p.oid::pg_catalog.regprocedure::text, r.rolname::text \
         FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::regclass \
                                  AND d.refobjid = p.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         JOIN pg_catalog.pg_roles r ON r.oid = p.proowner AND NOT r.rolsuper \
         WHERE {APPLICATION} AND ( \
             EXISTS (SELECT FROM pg_catalog.pg_constraint k \
                     WHERE d.classid = 'pg_catalog.pg_constraint'::regclass \
                           AND k.oid = d.objid AND k.contype = 'c') \
             OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f \
                        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid \
                             AND a.attnum = f.adnum AND a.attgenerated <> '' \
                        WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND f.oid = d.objid) \
             OR EXISTS (SELECT FROM pg_catalog.pg_index i \
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass \
                              AND i.indexrelid = d.objid) \
             OR EXISTS (SELECT FROM pg_catalog.pg_trigger g \
                        WHERE d.classid = 'pg_catalog.pg_trigger'::regclass \
                              AND g.oid = d.objid AND g.tgenabled IN ('A', 'R'))) \
         ORDER BY 1"
    );
    let rows = session.rows(DOING, &sql, &[]).await?;
    let one = |function: &str, owner: &str| {
        let what = format!(
            "tables call {function} of role {owner} for each row: at the other site it runs with \
             the rights of Mainstay's user"
        );
        let advice = format!(
            "Read it, then: ALTER FUNCTION {function} OWNER TO postgres; or leave it, if {owner} \
             may do anything there."
        );
        Finding::warning("MS-PG-318", place, what, advice)
    };
    let mut found: Vec<_> =
        rows.iter().take(LISTED).map(|row| one(row.get(0), row.get(1))).collect();
    found.extend(more(place, "MS-PG-318", "functions are called so", rows.len()));
    Ok(found)
}

fn more(place: &str, code: &str, what: &str, count: usize) -> Option<Finding> {
    let what = format!("{} more {what}", count.saturating_sub(LISTED));
    (count > LISTED).then(|| Finding::warning(code, place, what, "Mend these first, check again."))
}
