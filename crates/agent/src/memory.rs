//! What an agent must not forget over its own crash: `state.db`.

use crate::disk::{Disk, File};
use crate::error::AgentError;
use crate::types::{Execution, RepairSummary, Return, SalvageSummary};
use mainstay_alerts::desk::Document;
use mainstay_core::{ApplicationName, Epoch, NotifierName, Record, StoreName};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// How many executions are kept: enough for medians, and bounded.
const EXECUTIONS_KEPT: u32 = 200;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS document (
        kind TEXT NOT NULL, application TEXT NOT NULL, name TEXT NOT NULL,
        sequence INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL,
        PRIMARY KEY (kind, application, name))";

/// Each write is durable when it returns.
#[derive(Clone)]
pub struct Memory(File);

/// The epochs that this site has seen and held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Epochs {
    pub highest: Epoch,
    pub promoted: Epoch,
}

/// A fence from outside as it is remembered over a crash.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KeptFencing {
    pub from: Record,
    /// It ended, and whether the site is stopped was not found out. Otherwise that is looked at
    /// again, also when it was confirmed: the site may have been started meanwhile.
    pub unknown: bool,
}

impl Memory {
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        Self::open_on(&Disk::Real, path)
    }

    pub fn open_on(disk: &Disk, path: &Path) -> Result<Self, AgentError> {
        disk.open(path, SCHEMA).map(Self).map_err(|why| failed(path, why))
    }

    pub async fn epochs(&self, application: &ApplicationName) -> Result<Epochs, AgentError> {
        Ok(self.read("epochs", application, "").await?.unwrap_or_default())
    }

    pub async fn keep_epochs(
        &self,
        application: &ApplicationName,
        epochs: Epochs,
    ) -> Result<(), AgentError> {
        self.write("epochs", application, "", 0, &epochs).await
    }

    /// The record that this site last asked to take over from.
    pub async fn claim(&self, application: &ApplicationName) -> Result<Option<Record>, AgentError> {
        self.read("claim", application, "").await
    }

    pub async fn keep_claim(
        &self,
        application: &ApplicationName,
        from: &Record,
    ) -> Result<(), AgentError> {
        self.write("claim", application, "", 0, from).await
    }

    /// The fence from outside that this site last began.
    pub async fn fencing(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<KeptFencing>, AgentError> {
        self.read("fencing", application, "").await
    }

    pub async fn keep_fencing(
        &self,
        application: &ApplicationName,
        fencing: &KeptFencing,
    ) -> Result<(), AgentError> {
        self.write("fencing", application, "", 0, fencing).await
    }

    pub async fn returning(
        &self,
        application: &ApplicationName,
        store: &StoreName,
    ) -> Result<Option<Return>, AgentError> {
        self.read("return", application, store.as_str()).await
    }

    pub async fn keep_returning(
        &self,
        application: &ApplicationName,
        store: &StoreName,
        returning: &Return,
    ) -> Result<(), AgentError> {
        self.write("return", application, store.as_str(), 0, returning).await
    }

    pub async fn salvage(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<SalvageSummary>, AgentError> {
        self.list("salvage", application).await
    }

    /// A salvage that is sent again after a crash does not know of its replay: what is known of
    /// that here stays.
    pub async fn keep_salvage(&self, salvage: &SalvageSummary) -> Result<(), AgentError> {
        let sequence = i64::try_from(salvage.epoch.number()).unwrap_or(i64::MAX);
        let mut salvage = salvage.clone();
        if salvage.replay.is_none() {
            let kept = self.one_salvage(&salvage.application, &salvage.id).await?;
            salvage.replay = kept.and_then(|kept| kept.replay);
        }
        self.write("salvage", &salvage.application, &salvage.id, sequence, &salvage).await
    }

    pub async fn one_salvage(
        &self,
        application: &ApplicationName,
        id: &str,
    ) -> Result<Option<SalvageSummary>, AgentError> {
        self.read("salvage", application, id).await
    }

    /// The repairs, newest first.
    pub async fn repairs(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<RepairSummary>, AgentError> {
        self.list("repair", application).await
    }

    pub async fn keep_repair(&self, repair: &RepairSummary) -> Result<(), AgentError> {
        let (application, id) = (&repair.application, &repair.id);
        self.write("repair", application, id, repair.started_micros, repair).await
    }

    /// The executions, newest first.
    pub async fn executions(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<Execution>, AgentError> {
        self.list("execution", application).await
    }

    pub async fn keep_execution(&self, execution: &Execution) -> Result<(), AgentError> {
        let (application, id) = (&execution.application, &execution.id);
        self.write("execution", application, id, execution.started_micros, execution).await?;
        let name = application.to_string();
        self.call(move |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM document WHERE kind = 'execution' AND application = ?1
                     AND name NOT IN (SELECT name FROM document WHERE kind = 'execution'
                         AND application = ?1 ORDER BY sequence DESC LIMIT ?2)",
                )?
                .execute(params![name, EXECUTIONS_KEPT])
        })
        .await?;
        Ok(())
    }

    /// What a notifier still has to tell, and has told.
    pub async fn desk(&self, notifier: &NotifierName) -> Result<Option<Document>, AgentError> {
        self.read("alerts", "", notifier.as_str()).await
    }

    pub async fn keep_desk(
        &self,
        notifier: &NotifierName,
        document: &Document,
    ) -> Result<(), AgentError> {
        self.write("alerts", "", notifier.as_str(), 0, document).await
    }

    /// The newest entry of the ledger of which people were told, where that was due.
    pub async fn told_until(&self) -> Result<Option<u64>, AgentError> {
        self.read("alerts-told-until", "", "").await
    }

    pub async fn keep_told_until(&self, number: u64) -> Result<(), AgentError> {
        self.write("alerts-told-until", "", "", 0, &number).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        application: impl ToString,
        name: &str,
    ) -> Result<Option<T>, AgentError> {
        let key = (application.to_string(), name.to_owned());
        let body: Option<String> = self
            .call(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT body FROM document
                         WHERE kind = ?1 AND application = ?2 AND name = ?3",
                    )?
                    .query_row(params![kind, key.0, key.1], |row| row.get(0))
                    .optional()
            })
            .await?;
        body.map(|body| self.parse(&body)).transpose()
    }

    async fn list<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        application: &ApplicationName,
    ) -> Result<Vec<T>, AgentError> {
        let application = application.to_string();
        let bodies: Vec<String> = self
            .call(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT body FROM document WHERE kind = ?1 AND application = ?2
                         ORDER BY sequence DESC, name",
                    )?
                    .query_map(params![kind, application], |row| row.get(0))?
                    .collect()
            })
            .await?;
        bodies.iter().map(|body| self.parse(body)).collect()
    }

    async fn write(
        &self,
        kind: &'static str,
        application: impl ToString,
        name: &str,
        sequence: i64,
        value: &impl Serialize,
    ) -> Result<(), AgentError> {
        let body = serde_json::to_string(value).map_err(|why| failed(self.0.path(), why))?;
        let key = (application.to_string(), name.to_owned());
        self.call(move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO document VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![kind, key.0, key.1, sequence, body])
        })
        .await?;
        Ok(())
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, AgentError> {
        self.0.call(work).await.map_err(|why| failed(self.0.path(), why))
    }

    fn parse<T: DeserializeOwned>(&self, body: &str) -> Result<T, AgentError> {
        serde_json::from_str(body).map_err(|why| failed(self.0.path(), why))
    }
}

fn failed(path: &Path, why: impl ToString) -> AgentError {
    AgentError::State { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ReplaySummary;
    use mainstay_core::SiteName;

    #[tokio::test]
    async fn a_salvage_that_is_sent_again_is_still_known_to_be_replayed() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(&folder.path().join("state.db")).unwrap();
        let bank = ApplicationName::new("bank").unwrap();
        let sent = SalvageSummary {
            id: "bank-db-2-east".to_owned(),
            application: bank.clone(),
            store: StoreName::new("db").unwrap(),
            site: SiteName::new("east").unwrap(),
            epoch: Epoch::new(2),
            transactions: 3,
            changes: 9,
            first_commit_micros: Some(1),
            last_commit_micros: Some(2),
            inexact: None,
            states: None,
            replay: None,
            rpo_exact_s: Some(0.1),
        };
        memory.keep_salvage(&sent).await.unwrap();
        let (rows_inserted, already_there, kept, asked) = (3, 0, 6, 0);
        let replay = ReplaySummary {
            transactions: 3,
            rows_inserted,
            already_there,
            kept,
            asked,
            ..ReplaySummary::default()
        };
        let replayed = SalvageSummary { replay: Some(replay), ..sent.clone() };
        memory.keep_salvage(&replayed).await.unwrap();
        memory.keep_salvage(&sent).await.unwrap();
        assert_eq!(memory.salvage(&bank).await.unwrap(), [replayed]);
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let bank = ApplicationName::new("bank").unwrap();
        let kept = Epochs { highest: Epoch::new(3), promoted: Epoch::new(2) };
        Memory::open(&path).unwrap().keep_epochs(&bank, kept).await.unwrap();
        assert_eq!(Memory::open(&path).unwrap().epochs(&bank).await.unwrap(), kept);
        let other = ApplicationName::new("shop").unwrap();
        let reopened = Memory::open(&path).unwrap();
        assert_eq!(reopened.epochs(&other).await.unwrap(), Epochs::default());
    }
}
