//! What the source has described of its tables, and changes that fit it.

use super::schema::Arrival;
use super::unit::{Change, SourceTable};
use crate::postgres::catalog::is_own;
use mainstay_wire::pgoutput::{LogicalMessage, Message, Relation, TypeName, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The stream cannot be understood; the sentence says what came.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source sent {0}")]
pub(super) struct NotUnderstood(String);

pub(super) type Result<T> = std::result::Result<T, NotUnderstood>;

pub(super) fn not_understood<T>(what: impl Into<String>) -> Result<T> {
    Err(NotUnderstood(what.into()))
}

/// Tables and types, as of some place in the stream.
#[derive(Debug, Default, Clone)]
pub(super) struct Described {
    schema: Arrival,
    tables: HashMap<u32, Arc<SourceTable>>,
    types: HashMap<u32, TypeName>,
}

/// A description that took the place of another one.
pub(super) struct Replaced {
    id: u32,
    before: Arc<SourceTable>,
}

impl Described {
    /// Schema changes are known by their messages' token.
    pub fn new(schema: Arrival) -> Self {
        Self { schema, ..Self::default() }
    }

    /// Nothing is described; schema changes are known by the same token.
    pub fn empty(&self) -> Self {
        let mut schema = self.schema.clone();
        schema.begin();
        Self::new(schema)
    }

    /// A transaction begins.
    pub fn begin(&mut self) {
        self.schema.begin();
    }

    pub fn name_type(&mut self, name: TypeName) {
        self.types.insert(name.id, name);
    }

    /// The same description again keeps what was worked out for it.
    pub fn describe(&mut self, relation: Relation) -> Option<Replaced> {
        let types = relation.columns.iter().map(|c| self.types.get(&c.type_id).cloned()).collect();
        let table = SourceTable { relation, types };
        self.put(Arc::new(table))
    }

    fn put(&mut self, table: Arc<SourceTable>) -> Option<Replaced> {
        let id = table.relation.id;
        if self.tables.get(&id).is_some_and(|known| *known == table) {
            return None;
        }
        self.tables.insert(id, table).map(|before| Replaced { id, before })
    }

    /// As it was before a description was replaced.
    pub fn undo(&mut self, replaced: &Replaced) {
        self.tables.insert(replaced.id, Arc::clone(&replaced.before));
    }

    /// Takes over what was described within a transaction; true when that replaced something.
    pub fn merge(&mut self, newer: Described) -> bool {
        self.types.extend(newer.types);
        let replaced = newer.tables.into_values().filter_map(|table| self.put(table));
        replaced.count() > 0
    }

    fn table(&self, id: u32) -> Result<Arc<SourceTable>> {
        match self.tables.get(&id) {
            Some(table) => Ok(Arc::clone(table)),
            None => not_understood(format!("a change of table {id}, which it did not describe")),
        }
    }

    fn fitting(&self, id: u32, values: &[&[Value]]) -> Result<Arc<SourceTable>> {
        let table = self.table(id)?;
        let columns = table.relation.columns.len();
        if values.iter().any(|tuple| tuple.len() != columns) {
            return not_understood(format!("a row of {} with other columns", table.name()));
        }
        if values.iter().any(|tuple| tuple.iter().any(|v| matches!(v, Value::Binary(_)))) {
            return not_understood("a binary value, which was not asked for");
        }
        Ok(table)
    }

    /// A schema change; None for the messages of applications to their own readers.
    pub fn message(&mut self, message: &LogicalMessage) -> Result<Option<Change>> {
        let change = self.schema.message(message).or_else(not_understood)?;
        Ok(change.map(|change| Change::Schema(Arc::new(change))))
    }

    /// None for a change of Mainstay's own tables, and for rows that a schema change writes itself.
    pub fn change(&self, message: Message) -> Result<Option<Change>> {
        let change = match message {
            Message::Insert { relation, new } => {
                Change::Insert { table: self.fitting(relation, &[&new])?, new }
            }
            Message::Update { relation, old, new } => {
                let before = old.as_ref().map_or(&new, |old| old.tuple());
                Change::Update { table: self.fitting(relation, &[before, &new])?, old, new }
            }
            Message::Delete { relation, old } => {
                Change::Delete { table: self.fitting(relation, &[old.tuple()])?, old }
            }
            Message::Truncate(truncate) => {
                let tables = truncate.relations.iter().map(|id| self.table(*id));
                let tables = tables.collect::<Result<Vec<_>>>()?;
                let (cascade, restart_identity) = (truncate.cascade, truncate.restart_identity);
                Change::Truncate { tables, cascade, restart_identity }
            }
            other => return not_understood(format!("an unexpected message: {other:?}")),
        };
        Ok(foreign(change).filter(|_| !self.schema.inside()))
    }
}

/// The change without Mainstay's own tables; None when nothing is left of it.
fn foreign(change: Change) -> Option<Change> {
    let own = |table: &SourceTable| is_own(&table.relation.schema, &table.relation.name);
    match change {
        Change::Insert { ref table, .. }
        | Change::Update { ref table, .. }
        | Change::Delete { ref table, .. } => (!own(table)).then_some(change),
        Change::Truncate { mut tables, cascade, restart_identity } => {
            tables.retain(|table| !own(table));
            let left = !tables.is_empty();
            left.then_some(Change::Truncate { tables, cascade, restart_identity })
        }
        Change::Schema(_) => Some(change),
    }
}
