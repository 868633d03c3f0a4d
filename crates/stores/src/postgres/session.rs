//! One connection for Mainstay's own questions to a database, whose errors say where and what.

use super::connect::{self, chain, place};
use super::fault::Fault;
use mainstay_core::estate::PostgresEndpoint;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, RowStream, Transaction};

/// Beyond the settings of every connection of Mainstay's. Commits wait for this server's disk but
/// for no standby's, which may be what has failed. `search_path` is empty so that the names of
/// types and functions inside values come out qualified. Row security would hide rows: with it off
/// the server says so instead.
const PLAIN: &str = "SET search_path = ''; SET synchronous_commit = local; \
     SET row_security = off; SET lock_timeout = '5s'; SET statement_timeout = '15s'";

/// A commit is on disk when all that was written to the log before it is (PostgreSQL manual,
/// "Asynchronous Commit"). This one has a message, which no link takes for a change.
pub(crate) const FLUSH: &str =
    "SELECT pg_catalog.pg_logical_emit_message(true, 'mainstay', 'flush')";

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(crate) struct Session {
    client: Client,
    place: String,
}

impl Session {
    /// `what` is shown to people who look at the server's sessions.
    pub async fn open(endpoint: &PostgresEndpoint, what: &str) -> Result<Self, Fault> {
        let client = connect::connect(endpoint, what).await?;
        let session = Self { client, place: place(endpoint) };
        session.batch("prepare a session", PLAIN).await?;
        Ok(session)
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub async fn batch(&self, doing: &'static str, sql: &str) -> Result<(), Fault> {
        self.client.batch_execute(sql).await.map_err(|e| self.fault(doing, &e))
    }

    pub async fn rows(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        self.client.query(sql, params).await.map_err(|e| self.fault(doing, &e))
    }

    pub async fn row(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Row, Fault> {
        self.client.query_one(sql, params).await.map_err(|e| self.fault(doing, &e))
    }

    pub async fn maybe_row(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Fault> {
        self.client.query_opt(sql, params).await.map_err(|e| self.fault(doing, &e))
    }

    pub async fn execute(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64, Fault> {
        self.client.execute(sql, params).await.map_err(|e| self.fault(doing, &e))
    }

    /// Rows one after the other, never all in memory.
    pub async fn stream(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<RowStream, Fault> {
        let params = params.iter().map(|p| *p as &dyn ToSql);
        self.client.query_raw(sql, params).await.map_err(|e| self.fault(doing, &e))
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn begin(&mut self, doing: &'static str) -> Result<Transaction<'_>, Fault> {
        let place = self.place.clone();
        self.client.transaction().await.map_err(|e| fault(&place, doing, &e))
    }

    pub fn fault(&self, doing: &'static str, error: &tokio_postgres::Error) -> Fault {
        fault(&self.place, doing, error)
    }
}

pub(crate) fn fault(place: &str, doing: &'static str, error: &tokio_postgres::Error) -> Fault {
    let sqlstate = error.code().map(|code| code.code().to_owned());
    // 42P01 undefined_table, 3F000 invalid_schema_name (PostgreSQL manual, "Error Codes").
    let ours = error.as_db_error().is_some_and(|e| e.message().contains("mainstay"));
    if ours && matches!(sqlstate.as_deref(), Some("42P01" | "3F000")) {
        return Fault::NotPrepared { place: place.to_owned(), doing };
    }
    Fault::Sql { place: place.to_owned(), doing, why: reason(error), sqlstate }
}

/// The server's own words where there are some: the client's say only "db error".
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => match db.detail() {
            Some(detail) => format!("{} ({detail})", db.message()),
            None => db.message().to_owned(),
        },
        None => chain(error),
    }
}
