//! The coordinator in one agent's local store.

use super::{CoordinatorError, Swap, Versioned};
use crate::error::AgentError;
use mainstay_core::record::{Cause, Refusal};
use mainstay_core::{ApplicationName, Epoch, Record};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub struct Embedded {
    connection: Arc<Mutex<Connection>>,
}

impl Embedded {
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        let connection = open(path)
            .map_err(|why| AgentError::State { path: path.to_owned(), why: why.to_string() })?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        let name = application.to_string();
        self.call(move |connection| current(connection, &name)).await?
    }

    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: u64,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        let (name, next) = (application.to_string(), next.clone());
        self.call(move |connection| swap(connection, &name, expected, &next)).await?
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, CoordinatorError> {
        let connection = self.connection.clone();
        tokio::task::spawn_blocking(move || {
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(silent)
    }
}

fn silent(why: impl ToString) -> CoordinatorError {
    CoordinatorError::Silent(why.to_string())
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS record (
             application TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)",
    )?;
    Ok(connection)
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

/// The lock on the connection makes read and write one step.
fn swap(
    connection: &Connection,
    application: &str,
    expected: u64,
    next: &Record,
) -> Result<Swap, CoordinatorError> {
    let current = current(connection, application)?;
    if current.version != expected {
        return Ok(Swap::Conflict { current });
    }
    allowed(current.record.as_ref(), next)
        .map_err(|why| CoordinatorError::Refused(why.to_string()))?;
    let version = expected + 1;
    let body = serde_json::to_string(next).map_err(silent)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| {
            statement.execute(params![application, version.cast_signed(), body])
        })
        .map_err(silent)?;
    Ok(Swap::Done { version })
}

fn allowed(current: Option<&Record>, next: &Record) -> Result<(), Refusal> {
    match current {
        Some(current) => current.allows(next),
        None if next.epoch == Epoch::new(1) && next.cause == Cause::Initial => Ok(()),
        None => Err(Refusal::NotFirst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::SiteName;
    use std::collections::BTreeMap;

    fn bank() -> ApplicationName {
        ApplicationName::new("bank").unwrap()
    }

    #[tokio::test]
    async fn of_two_claims_on_one_version_exactly_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let coordinator = Embedded::open(&folder.path().join("coordinator.db")).unwrap();
        let first = Record::first(SiteName::new("east").unwrap());
        let done = coordinator.swap(&bank(), 0, &first).await.unwrap();
        assert_eq!(done, Swap::Done { version: 1 });

        let claims = ["west", "north"].map(|site| {
            let next = first.claimed_by(&SiteName::new(site).unwrap(), Cause::Automatic);
            let coordinator = coordinator.clone();
            tokio::spawn(async move { coordinator.swap(&bank(), 1, &next).await.unwrap() })
        });
        let mut done = 0;
        for claim in claims {
            done += u32::from(matches!(claim.await.unwrap(), Swap::Done { .. }));
        }
        assert_eq!(done, 1);
    }

    /// As an agent that knew no pause had written it.
    #[tokio::test]
    async fn a_record_without_a_pause_is_read_and_one_with_a_pause_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.db");
        let first = Record::first(SiteName::new("east").unwrap());
        let coordinator = Embedded::open(&path).unwrap();
        coordinator.swap(&bank(), 0, &first).await.unwrap();
        let written = serde_json::to_string(&first).unwrap();
        assert!(!written.contains("pause"), "{written}");
        let read = coordinator.read(&bank()).await.unwrap();
        assert_eq!(read.record, Some(first.clone()));

        let pause = mainstay_core::Pause {
            by: "alice".to_owned(),
            site: SiteName::new("west").unwrap(),
            reason: "new disks".to_owned(),
            since_micros: 7,
            left: std::time::Duration::from_millis(59_100),
        };
        let paused = first.with_pause(Some(pause));
        coordinator.swap(&bank(), 1, &paused).await.unwrap();
        drop(coordinator);
        let read = Embedded::open(&path).unwrap().read(&bank()).await.unwrap();
        assert_eq!(read.record, Some(paused));
    }

    #[tokio::test]
    async fn a_change_survives_a_restart_and_a_stale_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.db");
        let first = Record::first(SiteName::new("east").unwrap());
        let coordinator = Embedded::open(&path).unwrap();
        coordinator.swap(&bank(), 0, &first).await.unwrap();
        coordinator.swap(&bank(), 1, &first.renewed(BTreeMap::new())).await.unwrap();
        drop(coordinator);

        let coordinator = Embedded::open(&path).unwrap();
        let read = coordinator.read(&bank()).await.unwrap();
        assert_eq!(read.version, 2);
        let stale = coordinator.swap(&bank(), 1, &first.renewed(BTreeMap::new())).await.unwrap();
        assert_eq!(stale, Swap::Conflict { current: read });
        let back = coordinator.swap(&bank(), 2, &first).await;
        assert!(matches!(back, Err(CoordinatorError::Refused(_))));
    }
}
