//! The clients' logs, read.

use crate::clients::log::{Line, Moment};
use uuid::Uuid;

/// A transfer that the bank said is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    pub id: Uuid,
    pub number: i64,
    /// Name of the address that answered.
    pub gateway: String,
    pub attempts: u32,
    /// When it was first sent.
    pub sent: Moment,
    pub at: Moment,
}

/// A transfer that a client no longer tries.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    pub id: Uuid,
    pub why: String,
    pub at: Moment,
}

/// An acknowledged transfer that a site does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    pub id: Uuid,
    pub number: i64,
    pub at: Moment,
}

#[derive(Debug, Default)]
pub struct ClientRecord {
    pub sent: u64,
    /// Attempts that came to nothing.
    pub retries: u64,
    /// In no particular order.
    pub acknowledged: Vec<Acknowledged>,
    pub given_up: Vec<GivenUp>,
}

impl ClientRecord {
    pub fn extend(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.add(line);
        }
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Sent { .. } => self.sent += 1,
            Line::Retried { .. } => self.retries += 1,
            Line::Acknowledged { id, number, gateway, attempts, sent, at, .. } => {
                self.acknowledged.push(Acknowledged { id, number, gateway, attempts, sent, at });
            }
            Line::GivenUp { id, why, at, .. } => self.given_up.push(GivenUp { id, why, at }),
        }
    }
}
