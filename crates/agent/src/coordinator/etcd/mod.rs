//! The coordinator in a cluster of etcd members: one key for each application.
//!
//! etcd runs no rules of ours. So each change is checked here against the record that it names,
//! and the transaction compares that whole record, not its revision alone: then the rule that held
//! here holds there, also after a restore that gives old revisions anew.

mod cluster;
mod members;
mod trouble;
mod wire;

pub use members::{Member, inspect};

use super::{CoordinatorError, Swap, Versioned, written};
use crate::error::AgentError;
use cluster::{Asked, Cluster};
use mainstay_core::{ApplicationName, Record, estate};
use std::sync::{Arc, Mutex, PoisonError};
use wire::{KeyValue, RangeAnswer, RangeQuestion, TxnAnswer, TxnQuestion};

pub struct Etcd {
    cluster: Arc<Cluster>,
    prefix: String,
    /// As they were when they were last asked.
    members: Mutex<Vec<Member>>,
}

impl Etcd {
    /// Reads certificates; touches no network.
    pub fn new(etcd: &estate::Etcd) -> Result<Self, AgentError> {
        let cluster = Arc::new(Cluster::new(etcd)?);
        Ok(Self { cluster, prefix: etcd.prefix.clone(), members: Mutex::default() })
    }

    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        let question = RangeQuestion { key: self.key(application) };
        let asked: Asked<RangeAnswer> = self.cluster.ask("/v3/kv/range", &question).await?;
        versioned(asked.answer.kvs.first())
    }

    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: &Versioned,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        let next = written(expected.record.as_ref(), next)?;
        let mut old = match &expected.record {
            Some(record) => Some(serde_json::to_vec(record).map_err(silent)?),
            None => None,
        };
        // An agent of another version may write the same record in other bytes.
        for _ in 0..2 {
            let question =
                TxnQuestion::replace(self.key(application), expected.version, old, &next);
            let Asked { answer, silent: unheard }: Asked<TxnAnswer> =
                self.cluster.ask("/v3/kv/txn", &question).await?;
            if answer.succeeded {
                return Ok(Swap::Done { version: answer.header.revision });
            }
            let stands = answer.stands();
            let current = versioned(stands)?;
            if current != *expected {
                // What came first may be this very change, made by a member that was not heard.
                return match unheard.is_empty() {
                    true => Ok(Swap::Conflict { current }),
                    false => Err(silent(unheard.join("; "))),
                };
            }
            old = stands.map(|kv| kv.value.clone());
        }
        Err(silent("the record is as expected, and yet it is not replaced"))
    }

    /// What the members said when they were last asked.
    pub fn members(&self) -> Vec<Member> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks each of them how it is.
    pub async fn look_at_members(&self) {
        let seen = members::look(&self.cluster).await;
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn key(&self, application: &ApplicationName) -> String {
        format!("{}/{application}", self.prefix)
    }
}

fn versioned(kv: Option<&KeyValue>) -> Result<Versioned, CoordinatorError> {
    let Some(kv) = kv else { return Ok(Versioned { version: 0, record: None }) };
    let record = serde_json::from_slice(&kv.value).map_err(|why| {
        CoordinatorError::Unusable(format!(
            "what stands under {} is no record of Mainstay: {why}; give Mainstay a prefix of its own",
            String::from_utf8_lossy(&kv.key)
        ))
    })?;
    Ok(Versioned { version: kv.mod_revision, record: Some(record) })
}

fn silent(why: impl ToString) -> CoordinatorError {
    CoordinatorError::Silent(why.to_string())
}
