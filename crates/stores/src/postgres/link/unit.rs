//! What travels from the receiver to the applier.

use super::assemble::Spooled;
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

impl Change {
    /// None when it concerns more than rows of one table.
    pub fn table(&self) -> Option<&Arc<SourceTable>> {
        match self {
            Change::Insert { table, .. }
            | Change::Update { table, .. }
            | Change::Delete { table, .. } => Some(table),
            Change::Truncate { .. } | Change::Schema(_) => None,
        }
    }
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
    /// It changes more than rows, or comes after a table was described anew: it is applied alone.
    /// What a schema change makes, such as a value of an enum, may be used only after the commit.
    pub barrier: bool,
}

/// Changes of a transaction in progress.
#[derive(Debug)]
pub(super) struct Piece {
    pub xid: u32,
    pub first: bool,
    pub changes: Vec<Change>,
    pub bytes: usize,
}

#[derive(Debug)]
pub(super) enum Unit {
    Whole(Transaction),
    Spooled(Box<Spooled>),
    /// To be applied ahead of the commit, if that can be done; the same comes as `Spooled` once
    /// it is committed.
    Piece(Piece),
    /// What came in pieces did not happen, or comes again.
    Withdrawn,
    /// Nothing that ends at or before this position is still to come.
    Covered(Lsn),
}

impl Unit {
    pub fn bytes(&self) -> usize {
        match self {
            Unit::Whole(transaction) => transaction.bytes,
            Unit::Piece(piece) => piece.bytes,
            Unit::Spooled(_) | Unit::Covered(_) | Unit::Withdrawn => 0,
        }
    }

    pub fn commit_micros(&self) -> Option<i64> {
        match self {
            Unit::Whole(transaction) => Some(transaction.commit_micros),
            Unit::Spooled(spooled) => Some(spooled.commit.commit_micros),
            Unit::Piece(_) | Unit::Covered(_) | Unit::Withdrawn => None,
        }
    }

    /// Where the transaction ends.
    pub fn end(&self) -> Option<Lsn> {
        match self {
            Unit::Whole(transaction) => Some(transaction.end),
            Unit::Spooled(spooled) => Some(spooled.commit.end_lsn),
            Unit::Covered(end) => Some(*end),
            Unit::Piece(_) | Unit::Withdrawn => None,
        }
    }
}
