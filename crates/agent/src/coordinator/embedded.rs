//! The coordinator in one agent's local store.

use super::{CoordinatorError, Swap, Versioned, written};
use crate::disk::{Disk, File};
use crate::error::AgentError;
use mainstay_core::{ApplicationName, Record};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS record (
        application TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)";

#[derive(Clone)]
pub struct Embedded(File);

impl Embedded {
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        Self::open_on(&Disk::Real, path)
    }

    pub fn open_on(disk: &Disk, path: &Path) -> Result<Self, AgentError> {
        disk.open(path, SCHEMA)
            .map(Self)
            .map_err(|why| AgentError::State { path: path.to_owned(), why: why.to_string() })
    }

    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        let name = application.to_string();
        self.call(move |connection| current(connection, &name)).await?
    }

    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: &Versioned,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        let (name, expected, next) = (application.to_string(), expected.clone(), next.clone());
        self.call(move |connection| swap(connection, &name, &expected, &next)).await?
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, CoordinatorError> {
        self.0.call(move |connection| Ok(work(connection))).await.map_err(silent)
    }
}

fn silent(why: impl ToString) -> CoordinatorError {
    CoordinatorError::Silent(why.to_string())
}

fn current(connection: &Connection, application: &str) -> Result<Versioned, CoordinatorError> {
    let row = connection
        .prepare_cached("SELECT version, body FROM record WHERE application = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([application], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })
                .optional()
        })
        .map_err(silent)?;
    let Some((version, body)) = row else {
        return Ok(Versioned { version: 0, record: None });
    };
    let record = serde_json::from_str(&body).map_err(silent)?;
    Ok(Versioned { version: version.cast_unsigned(), record: Some(record) })
}

/// The transaction holds the file's write lock from its beginning, so that read and write are one
/// step also when another process has the same file open.
fn swap(
    connection: &Connection,
    application: &str,
    expected: &Versioned,
    next: &Record,
) -> Result<Swap, CoordinatorError> {
    let transaction =
        Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(silent)?;
    let current = current(&transaction, application)?;
    if current != *expected {
        return Ok(Swap::Conflict { current });
    }
    let body = written(current.record.as_ref(), next)?;
    let version = current.version + 1;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| {
            statement.execute(params![application, version.cast_signed(), body])
        })
        .map_err(silent)?;
    transaction.commit().map_err(silent)?;
    Ok(Swap::Done { version })
}
