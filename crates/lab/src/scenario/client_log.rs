//! Follows the clients' logs while they are written.

use crate::clients::log::{Line, Tail};
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::oracle::ClientRecord;

pub struct ClientLog {
    tail: Tail,
    pub record: ClientRecord,
}

impl ClientLog {
    pub fn of(lab: &CurrentLab) -> Self {
        Self { tail: Tail::new(lab.folder.clients()), record: ClientRecord::default() }
    }

    /// Reads what was written since the last time.
    pub fn refresh(&mut self) -> Result<&ClientRecord, LabError> {
        let mut lines: Vec<Line> = Vec::new();
        self.tail.read_new(&mut lines).doing(|| "read the clients' logs".to_owned())?;
        self.record.extend(lines);
        Ok(&self.record)
    }
}
