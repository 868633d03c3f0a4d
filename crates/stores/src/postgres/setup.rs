//! What Mainstay keeps in a database that it looks after.

use super::fault::Fault;
use super::generated;
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;

const DOING: &str = "prepare the database";

/// Two agents may prepare one database at the same moment; `IF NOT EXISTS` alone would fail then.
const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtextextended('mainstay setup', 0));";

/// From this major on a trigger can refuse a login (PostgreSQL 17 release notes, "login event
/// triggers").
pub(crate) const LOGIN_TRIGGER_SINCE: i32 = 17;

/// Makes the schema `mainstay` with its tables, the publication, the event triggers that capture
/// schema changes, and where the server knows them the login trigger. May be run again at any time, also under load: it locks no table of the
/// application, and until the first `fence` or `open` it refuses nobody. Where a publication would
/// break the application's updates, nothing is made.
pub async fn prepare(endpoint: &PostgresEndpoint) -> Result<(), Fault> {
    let session = Session::open(endpoint, "setup").await?;
    let major = major(&session).await?;
    let login = if major >= LOGIN_TRIGGER_SINCE { include_str!("login.sql") } else { "" };
    if major >= generated::REFUSED_SINCE && !is_published(&session).await? {
        must_stay_writable(&session).await?;
    }
    let sql = format!(
        "BEGIN; SET LOCAL client_min_messages = warning; {ALONE}\n{}\n{login}\n{}\nCOMMIT;",
        include_str!("setup.sql"),
        include_str!("ddl.sql"),
    );
    session.batch(DOING, &sql).await?;
    check_publication(&session).await
}

/// Whether this database was prepared before; then nothing has to be checked again.
pub async fn is_prepared(endpoint: &PostgresEndpoint) -> Result<bool, Fault> {
    let session = Session::open(endpoint, "setup").await?;
    let sql = "SELECT to_regclass('mainstay.site') IS NOT NULL AND EXISTS \
                      (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'mainstay')";
    Ok(session.row("look for Mainstay's tables", sql, &[]).await?.get(0))
}

/// 18 for PostgreSQL 18.6.
pub(crate) async fn major(session: &Session) -> Result<i32, Fault> {
    let sql = "SELECT current_setting('server_version_num')::int4 / 10000";
    Ok(session.row("read the server's version", sql, &[]).await?.get(0))
}

async fn is_published(session: &Session) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'mainstay')";
    Ok(session.row(DOING, sql, &[]).await?.get(0))
}

async fn must_stay_writable(session: &Session) -> Result<(), Fault> {
    match generated::tables(session).await? {
        none if none.is_empty() => Ok(()),
        tables => {
            let place = session.place().to_owned();
            Err(Fault::GeneratedIdentity { place, tables: tables.join(", ") })
        }
    }
}

async fn check_publication(session: &Session) -> Result<(), Fault> {
    let sql = "SELECT puballtables AND pubinsert AND pubupdate AND pubdelete AND pubtruncate \
                      AND NOT pubviaroot \
               FROM pg_catalog.pg_publication WHERE pubname = 'mainstay'";
    if session.row(DOING, sql, &[]).await?.get(0) {
        Ok(())
    } else {
        Err(Fault::Publication { place: session.place().to_owned() })
    }
}
