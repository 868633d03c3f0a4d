//! What travels from the receiver to the applier.

use super::schema::SchemaChange;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{OldTuple, Relation, Tuple, TypeName};
use std::sync::Arc;

/// A table as the source described it, with the names of the types that are not built in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceTable {
    pub relation: Relation,
    /// One for each column.
    pub types: Vec<Option<TypeName>>,
}

impl SourceTable {
    /// As people write it: `public.accounts`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.relation.schema, self.relation.name)
    }
}

#[derive(Debug)]
pub(super) enum Change {
    Insert { table: Arc<SourceTable>, new: Tuple },
    Update { table: Arc<SourceTable>, old: Option<OldTuple>, new: Tuple },
    Delete { table: Arc<SourceTable>, old: OldTuple },
    Truncate { tables: Vec<Arc<SourceTable>>, cascade: bool, restart_identity: bool },
    Schema(Arc<SchemaChange>),
}

/// A whole transaction, committed at the source.
#[derive(Debug)]
pub(super) struct Transaction {
    pub commit_lsn: Lsn,
    /// The position once it is applied.
    pub end: Lsn,
    pub commit_micros: i64,
    pub changes: Vec<Change>,
    pub bytes: usize,
}

/// A piece of a transaction too large to be held in memory.
#[derive(Debug)]
pub(super) struct Part {
    pub commit_lsn: Lsn,
    pub commit_micros: i64,
    pub first: bool,
    /// With the last piece.
    pub end: Option<Lsn>,
    pub changes: Vec<Change>,
    pub bytes: usize,
}

impl Transaction {
    /// Whether it shares its target transaction with no other: what a schema change makes, such as
    /// a value of an enum, may be used only after the commit.
    pub fn is_alone(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Schema(_)))
    }
}

#[derive(Debug)]
pub(super) enum Unit {
    Whole(Transaction),
    Part(Part),
    /// Nothing that ends at or before this position is still to come.
    Covered(Lsn),
    /// The rest of a transaction in parts will not come; it comes again from its beginning.
    Abandoned,
}

impl Unit {
    pub fn bytes(&self) -> usize {
        match self {
            Unit::Whole(transaction) => transaction.bytes,
            Unit::Part(part) => part.bytes,
            Unit::Covered(_) | Unit::Abandoned => 0,
        }
    }

    pub fn commit_micros(&self) -> Option<i64> {
        match self {
            Unit::Whole(transaction) => Some(transaction.commit_micros),
            Unit::Part(part) => Some(part.commit_micros),
            Unit::Covered(_) | Unit::Abandoned => None,
        }
    }
}
