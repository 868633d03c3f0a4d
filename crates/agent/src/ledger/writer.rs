//! Appending to the ledger. An entry is durable when `append` returns.

use super::entry::{Entry, NO_PREVIOUS, hash};
use super::verify::read;
use crate::disk::{Disk, File};
use crate::error::AgentError;
use crate::time::unix_micros;
use mainstay_core::SiteName;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        number INTEGER PRIMARY KEY, micros INTEGER NOT NULL, site TEXT NOT NULL,
        kind TEXT NOT NULL, application TEXT NOT NULL, body TEXT NOT NULL,
        previous TEXT NOT NULL, hash TEXT NOT NULL)";

#[derive(Clone)]
pub struct Ledger {
    file: File,
    site: SiteName,
    head: Arc<Mutex<Head>>,
}

/// The newest entry.
#[derive(Clone)]
struct Head {
    number: u64,
    hash: String,
}

impl Ledger {
    pub fn open(path: &Path, site: SiteName) -> Result<Self, AgentError> {
        Self::open_on(&Disk::Real, path, site)
    }

    pub fn open_on(disk: &Disk, path: &Path, site: SiteName) -> Result<Self, AgentError> {
        let file = disk.open(path, SCHEMA).map_err(|why| failed(path, why))?;
        let head = file.now(newest).map_err(|why| failed(path, why))?;
        Ok(Self { file, site, head: Arc::new(Mutex::new(head)) })
    }

    /// Appends one entry; it is on the disk when this returns.
    pub async fn append(
        &self,
        kind: &'static str,
        application: &str,
        body: &impl Serialize,
    ) -> Result<(), AgentError> {
        let body = serde_json::to_string(body).map_err(|why| failed(self.file.path(), why))?;
        let (ledger, application) = (self.clone(), application.to_owned());
        let appended = self.file.call(move |it| ledger.append_to(it, kind, application, body));
        appended.await.map_err(|why| failed(self.file.path(), why))
    }

    /// Number and hash of the newest entry.
    pub fn head(&self) -> (u64, String) {
        let Head { number, hash } = self.newest().clone();
        (number, hash)
    }

    /// The next entries after one, oldest first.
    pub async fn after(&self, number: u64, most: u32) -> Result<Vec<Entry>, AgentError> {
        let read = self.file.call(move |connection| read_after(connection, number, most));
        read.await.map_err(|why| failed(self.file.path(), why))
    }

    fn newest(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_to(
        &self,
        connection: &Connection,
        kind: &'static str,
        application: String,
        body: String,
    ) -> rusqlite::Result<()> {
        let mut head = self.newest();
        let mut entry = Entry {
            number: head.number + 1,
            micros: unix_micros(),
            site: self.site.clone(),
            kind: kind.to_owned(),
            application,
            body,
            previous: head.hash.clone(),
            hash: String::new(),
        };
        entry.hash = hash(&entry);
        insert(connection, &entry)?;
        *head = Head { number: entry.number, hash: entry.hash };
        Ok(())
    }
}

fn failed(path: &Path, why: impl ToString) -> AgentError {
    AgentError::Ledger { path: path.to_owned(), why: why.to_string() }
}

fn newest(connection: &Connection) -> rusqlite::Result<Head> {
    let newest = connection
        .query_row("SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1", [], |row| {
            Ok(Head { number: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? })
        })
        .optional()?;
    Ok(newest.unwrap_or_else(|| Head { number: 0, hash: NO_PREVIOUS.to_owned() }))
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
