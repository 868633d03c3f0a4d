//! Appending to the ledger. An entry is durable when `append` returns.

use super::entry::{Entry, NO_PREVIOUS, hash};
use super::verify::read;
use crate::error::AgentError;
use crate::time::unix_micros;
use mainstay_core::SiteName;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    site: SiteName,
    chain: Mutex<Chain>,
}

struct Chain {
    connection: Connection,
    number: u64,
    head: String,
}

impl Ledger {
    pub fn open(path: &Path, site: SiteName) -> Result<Self, AgentError> {
        let chain = open_chain(path).map_err(|why| failed(path, why))?;
        let inner = Inner { path: path.to_owned(), site, chain: Mutex::new(chain) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends one entry; it is on the disk when this returns.
    pub async fn append(
        &self,
        kind: &'static str,
        application: &str,
        body: &impl Serialize,
    ) -> Result<(), AgentError> {
        let body = serde_json::to_string(body).map_err(|why| failed(&self.inner.path, why))?;
        let (ledger, application) = (self.clone(), application.to_owned());
        tokio::task::spawn_blocking(move || ledger.append_now(kind, application, body))
            .await
            .map_err(|why| failed(&self.inner.path, why))?
    }

    /// Number and hash of the newest entry.
    pub fn head(&self) -> (u64, String) {
        let chain = self.inner.chain.lock().unwrap_or_else(PoisonError::into_inner);
        (chain.number, chain.head.clone())
    }

    /// The next entries after one, oldest first.
    pub async fn after(&self, number: u64, most: u32) -> Result<Vec<Entry>, AgentError> {
        let inner = self.inner.clone();
        let read = tokio::task::spawn_blocking(move || {
            let chain = inner.chain.lock().unwrap_or_else(PoisonError::into_inner);
            read_after(&chain.connection, number, most)
        });
        let read = read.await.map_err(|why| failed(&self.inner.path, why))?;
        read.map_err(|why| failed(&self.inner.path, why))
    }

    fn append_now(
        &self,
        kind: &'static str,
        application: String,
        body: String,
    ) -> Result<(), AgentError> {
        let mut chain = self.inner.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = Entry {
            number: chain.number + 1,
            micros: unix_micros(),
            site: self.inner.site.clone(),
            kind: kind.to_owned(),
            application,
            body,
            previous: chain.head.clone(),
            hash: String::new(),
        };
        entry.hash = hash(&entry);
        insert(&chain.connection, &entry).map_err(|why| failed(&self.inner.path, why))?;
        chain.number = entry.number;
        chain.head = entry.hash;
        Ok(())
    }
}

fn failed(path: &Path, why: impl ToString) -> AgentError {
    AgentError::Ledger { path: path.to_owned(), why: why.to_string() }
}

fn open_chain(path: &Path) -> rusqlite::Result<Chain> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS entry (
             number INTEGER PRIMARY KEY, micros INTEGER NOT NULL, site TEXT NOT NULL,
             kind TEXT NOT NULL, application TEXT NOT NULL, body TEXT NOT NULL,
             previous TEXT NOT NULL, hash TEXT NOT NULL)",
    )?;
    let newest = connection
        .query_row("SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let (number, head) = newest.unwrap_or((0, NO_PREVIOUS.to_owned()));
    Ok(Chain { connection, number: number.cast_unsigned(), head })
}

fn read_after(connection: &Connection, number: u64, most: u32) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, micros, site, kind, application, body, previous, hash
         FROM entry WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    statement.query_map(params![number.cast_signed(), most], read)?.collect()
}

fn insert(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            entry.number.cast_signed(),
            entry.micros,
            entry.site.as_str(),
            entry.kind,
            entry.application,
            entry.body,
            entry.previous,
            entry.hash,
        ])?;
    Ok(())
}
