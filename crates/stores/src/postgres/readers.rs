//! Roles that only read, and that may do so at a site whose database refuses the application.
//!
//! Invariant: what a reader may do is decided by its privileges. One that could write is shut out of
//! a database that is not open, as the application's roles are; `default_transaction_read_only` is
//! set besides, and any session can turn that off.

use super::fault::Fault;
use super::session::Session;
use crate::readers::Unfit;
use mainstay_core::estate::PostgresEndpoint;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

const DOING: &str = "look at the readers";
const KEEPING: &str = "keep the readers from writing";

/// The error that says so: a page in `docs/errors`.
pub(crate) const CODE: &str = "MS-PG-319";

/// Lets those in that can only read. Those that could write are told, and while the database is not
/// `open` they are shut out. May be run again at any time.
pub async fn keep(
    endpoint: &PostgresEndpoint,
    readers: &[String],
    open: bool,
) -> Result<Vec<Unfit>, Fault> {
    let session = Session::open(endpoint, "readers").await?;
    let unfit = look(&session, readers).await?;
    let strong: BTreeSet<&str> = unfit.iter().map(|it| it.reader.as_str()).collect();
    for (role, logs_in, reads_only) in known(&session, readers).await? {
        let named = escape_identifier(&role);
        match strong.contains(role.as_str()) {
            true if open => {}
            true => shut(&session, &role, logs_in).await?,
            false => {
                if !reads_only {
                    read_only(&session, &named).await?;
                }
                if !logs_in {
                    session.batch(KEEPING, &format!("ALTER ROLE {named} LOGIN")).await?;
                }
            }
        }
    }
    Ok(unfit)
}

/// Each reader that exists: its name, whether it may log in, and whether its sessions begin by only
/// reading.
async fn known(session: &Session, readers: &[String]) -> Result<Vec<(String, bool, bool)>, Fault> {
    let sql = "SELECT r.rolname::text, r.rolcanlogin, EXISTS (SELECT \
                   FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d \
                       ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database() \
                   WHERE s.setrole = r.oid \
                         AND 'default_transaction_read_only=on' = ANY (s.setconfig)) \
               FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1::text[]) ORDER BY 1";
    let rows = session.rows(DOING, sql, &[&readers]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// In this database only: the role may have others.
async fn read_only(session: &Session, named: &str) -> Result<(), Fault> {
    let row = session.row(DOING, "SELECT pg_catalog.current_database()::text", &[]).await?;
    let database = escape_identifier(row.get(0));
    let sql =
        format!("ALTER ROLE {named} IN DATABASE {database} SET default_transaction_read_only = on");
    session.batch(KEEPING, &sql).await
}

async fn shut(session: &Session, role: &str, logs_in: bool) -> Result<(), Fault> {
    if logs_in {
        let sql = format!("ALTER ROLE {} NOLOGIN", escape_identifier(role));
        session.batch(KEEPING, &sql).await?;
    }
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
               WHERE usename = $1::text AND pid <> pg_catalog.pg_backend_pid()";
    session.rows(KEEPING, sql, &[&role]).await.map(drop)
}

/// All that stands against it; nothing for those that can only read.
pub(crate) async fn look(session: &Session, readers: &[String]) -> Result<Vec<Unfit>, Fault> {
    let rows = session.rows(DOING, include_str!("readers.sql"), &[&readers]).await?;
    let told = rows.iter().map(|row| {
        let (reader, through, what): (String, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let why = match through == reader {
            true => what.to_owned(),
            false => format!("{what} as \"{through}\", which it is a member of"),
        };
        Unfit { code: CODE, reader, why, mend: row.get(3) }
    });
    Ok(told.collect())
}

/// Functions that a reader may call and that run with their owner's rights, by reader.
pub(crate) async fn definers(
    session: &Session,
    readers: &[String],
) -> Result<Vec<(String, String)>, Fault> {
    let sql = "SELECT r.rolname::text, pg_catalog.string_agg(DISTINCT p.oid::regprocedure::text, \
                      ', ' ORDER BY p.oid::regprocedure::text) \
               FROM pg_catalog.pg_roles r \
               JOIN pg_catalog.pg_proc p ON p.prosecdef AND p.prorettype <> 'event_trigger'::regtype \
                    AND p.prorettype <> 'trigger'::regtype \
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               WHERE r.rolname = ANY ($1::text[]) AND NOT r.rolsuper \
                     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
                     AND EXISTS (SELECT FROM pg_catalog.pg_roles m \
                         WHERE pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') \
                               AND pg_catalog.has_schema_privilege(m.oid, n.oid, 'USAGE') \
                               AND pg_catalog.has_function_privilege(m.oid, p.oid, 'EXECUTE')) \
               GROUP BY 1 ORDER BY 1";
    let rows = session.rows(DOING, sql, &[&readers]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
