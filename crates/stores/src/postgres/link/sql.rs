//! A session of the link at one of its sides, whose errors say where and what.

use super::failure::LinkError;
use crate::postgres::connect::{self, chain, place};
use mainstay_core::estate::PostgresEndpoint;
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

pub(super) struct Sql {
    client: Arc<Client>,
    place: String,
}

impl Sql {
    /// Names inside values come with their schema; a plan that reads a whole table is only used
    /// where no index serves. Commits are durable, whatever the server's own setting.
    pub async fn open(endpoint: &PostgresEndpoint, what: &str) -> Result<Self, LinkError> {
        let client = connect::connect(endpoint, what).await?;
        let sql = Self { client: Arc::new(client), place: place(endpoint) };
        const SESSION: &str = "SET search_path = ''; SET jit = off; SET row_security = off; \
                               SET synchronous_commit = on";
        sql.batch("begin a session", SESSION).await?;
        Ok(sql)
    }

    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub async fn batch(&self, doing: &str, sql: &str) -> Result<(), LinkError> {
        self.client.batch_execute(sql).await.map_err(|e| self.failed(doing, &e))
    }

    pub async fn rows(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LinkError> {
        self.client.query(sql, params).await.map_err(|e| self.failed(doing, &e))
    }

    pub async fn execute(
        &self,
        doing: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, LinkError> {
        self.client.execute(sql, params).await.map_err(|e| self.failed(doing, &e))
    }

    pub fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> LinkError {
        let place = self.place.clone();
        let Some(db) = error.as_db_error() else {
            // What the client itself cannot encode or read does not heal; a lost connection does.
            let sqlstate = (!is_lost(error)).then(|| "XX000".to_owned());
            return LinkError::Sql { place, doing: doing.to_owned(), why: chain(error), sqlstate };
        };
        let sqlstate = db.code().code().to_owned();
        // undefined_table, invalid_schema_name
        if matches!(sqlstate.as_str(), "42P01" | "3F000") && db.message().contains("mainstay") {
            return LinkError::NotPrepared { place };
        }
        let detail = db.detail().map(|d| format!(" ({d})")).unwrap_or_default();
        let why = format!("{}{detail}", db.message());
        LinkError::Sql { place, doing: doing.to_owned(), why, sqlstate: Some(sqlstate) }
    }
}

fn is_lost(error: &tokio_postgres::Error) -> bool {
    let io = std::error::Error::source(error).is_some_and(|e| e.is::<std::io::Error>());
    error.is_closed() || io
}
