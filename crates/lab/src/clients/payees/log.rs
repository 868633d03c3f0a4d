//! The log of one program: a JSON line before a transaction is sent, and one when its fate is known.

use crate::clients::log::Moment;
use serde::{Deserialize, Serialize};

/// What a transaction does to one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Write {
    Insert { id: i64, name: String },
    Update { id: i64, name: String },
    Delete { id: i64 },
}

impl Write {
    pub fn id(&self) -> i64 {
        let (Self::Insert { id, .. } | Self::Update { id, .. } | Self::Delete { id }) = self;
        *id
    }
}

/// A transaction that was acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// No two transactions have the same; the rows that it leaves carry it.
    pub number: i64,
    pub writes: Vec<Write>,
    /// The name of the database server that took it.
    pub accepted_by: String,
    #[serde(flatten)]
    pub at: Moment,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    Sent {
        number: i64,
        writes: Vec<Write>,
    },
    Acknowledged(Written),
    /// The database said no, and made nothing of it.
    Refused {
        number: i64,
        why: String,
    },
}
