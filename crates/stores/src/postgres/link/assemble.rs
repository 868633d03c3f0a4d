//! From the source's messages to whole transactions, or pieces of large ones.

use super::schema::Arrival;
use super::unit::{Change, Part, SourceTable, Transaction, Unit};
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{Begin, Commit, Message, Relation, TypeName, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// A transaction that holds more than this is passed on in pieces.
const LARGE: usize = 4 * 1024 * 1024;
/// Mainstay's own tables: each site has its own, they are never replicated.
const OWN_SCHEMA: &str = "mainstay";

/// The stream cannot be understood; the sentence says what came.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source sent {0}")]
pub(super) struct NotUnderstood(String);

type Result<T> = std::result::Result<T, NotUnderstood>;

fn not_understood<T>(what: impl Into<String>) -> Result<T> {
    Err(NotUnderstood(what.into()))
}

/// Knows the tables and types that the source has described since the stream began.
#[derive(Default)]
pub(super) struct Assembler {
    tables: HashMap<u32, Arc<SourceTable>>,
    types: HashMap<u32, TypeName>,
    open: Option<Open>,
    schema: Arrival,
}

struct Open {
    begin: Begin,
    changes: Vec<Change>,
    bytes: usize,
    parted: bool,
}

impl Assembler {
    /// Schema changes are known by their messages' token.
    pub fn new(schema: Arrival) -> Self {
        Self { schema, ..Self::default() }
    }

    /// The commit time of the transaction that is being received.
    pub fn arriving(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.begin.commit_micros)
    }

    /// True when a piece of the transaction that is being received was passed on.
    pub fn parted(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.parted)
    }

    pub fn feed(&mut self, message: Message) -> Result<Option<Unit>> {
        let bytes = message.size();
        match message {
            Message::Begin(begin) => self.begin(begin).map(|()| None),
            Message::Commit(commit) => self.commit(commit).map(Some),
            Message::Relation(relation) => self.describe(relation).map(|()| None),
            Message::Type(name) => {
                self.types.insert(name.id, name);
                Ok(None)
            }
            // Where the source had a transaction from, and messages of applications to their own
            // readers, are known and change no row.
            Message::Origin { .. } => Ok(None),
            Message::Logical(message) => {
                match self.schema.message(&message).or_else(not_understood)? {
                    Some(change) => self.add(Some(Change::Schema(Arc::new(change))), bytes),
                    None => Ok(None),
                }
            }
            change => {
                let change = self.change(change)?;
                self.add(change, bytes)
            }
        }
    }

    fn begin(&mut self, begin: Begin) -> Result<()> {
        if self.open.is_some() {
            return not_understood("a transaction inside another one");
        }
        self.schema.begin();
        self.open = Some(Open { begin, changes: Vec::new(), bytes: 0, parted: false });
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<Unit> {
        let Some(open) = self.open.take() else {
            return not_understood("the end of a transaction that did not begin");
        };
        if commit.commit_lsn != open.begin.commit_lsn {
            return not_understood("the end of another transaction than the one that began");
        }
        Ok(open.finish(commit.end_lsn))
    }

    fn describe(&mut self, relation: Relation) -> Result<()> {
        let types = relation.columns.iter().map(|c| self.types.get(&c.type_id).cloned()).collect();
        let table = SourceTable { relation, types };
        // The same description again keeps what was worked out for it.
        if self.tables.get(&table.relation.id).is_none_or(|known| **known != table) {
            self.tables.insert(table.relation.id, Arc::new(table));
        }
        Ok(())
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

    /// None for a change of Mainstay's own tables.
    fn change(&self, message: Message) -> Result<Option<Change>> {
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

    fn add(&mut self, change: Option<Change>, bytes: usize) -> Result<Option<Unit>> {
        let Some(open) = self.open.as_mut() else {
            return not_understood("a change outside a transaction");
        };
        let Some(change) = change else { return Ok(None) };
        open.changes.push(change);
        open.bytes += bytes;
        Ok((open.bytes > LARGE).then(|| Unit::Part(open.part(None))))
    }
}

/// The change without Mainstay's own tables; None when nothing is left of it.
fn foreign(change: Change) -> Option<Change> {
    let own = |table: &SourceTable| table.relation.schema == OWN_SCHEMA;
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

impl Open {
    fn part(&mut self, end: Option<Lsn>) -> Part {
        let first = !std::mem::replace(&mut self.parted, true);
        Part {
            commit_lsn: self.begin.commit_lsn,
            commit_micros: self.begin.commit_micros,
            first,
            end,
            changes: std::mem::take(&mut self.changes),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    fn finish(mut self, end: Lsn) -> Unit {
        if self.parted {
            return Unit::Part(self.part(Some(end)));
        }
        if self.changes.is_empty() {
            return Unit::Covered(end);
        }
        Unit::Whole(Transaction {
            commit_lsn: self.begin.commit_lsn,
            end,
            commit_micros: self.begin.commit_micros,
            changes: self.changes,
            bytes: self.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mainstay_wire::pgoutput::{Column, Identity, LogicalMessage};

    fn relation(id: u32, schema: &str) -> Message {
        let column = Column { key: true, name: "id".into(), type_id: 25, type_modifier: -1 };
        Message::Relation(Relation {
            id,
            schema: schema.into(),
            name: "t".into(),
            identity: Identity::Default,
            columns: vec![column],
        })
    }

    fn begin() -> Message {
        Message::Begin(Begin { commit_lsn: Lsn(10), commit_micros: 5, xid: 1 })
    }

    fn commit() -> Message {
        Message::Commit(Commit { commit_lsn: Lsn(10), end_lsn: Lsn(20), commit_micros: 5 })
    }

    fn insert(relation: u32, size: usize) -> Message {
        Message::Insert { relation, new: vec![Value::Text(Bytes::from(vec![b'x'; size]))] }
    }

    #[test]
    fn a_transaction_of_our_own_tables_only_covers() {
        let mut assembler = Assembler::default();
        for message in [relation(1, "mainstay"), begin(), insert(1, 1)] {
            assert!(assembler.feed(message).unwrap().is_none());
        }
        assert!(matches!(assembler.feed(commit()), Ok(Some(Unit::Covered(Lsn(20))))));
    }

    #[test]
    fn rows_that_a_schema_change_writes_by_itself_are_left_to_it() {
        let told = |more: &str| {
            Message::Logical(LogicalMessage {
                transactional: true,
                lsn: Lsn(7),
                prefix: "mainstay ddl".into(),
                content: Bytes::from(format!(
                    r#"{{"version": 1, "token": "t", "tag": "CREATE EXTENSION", "role": "r",
                        "settings": {{}}, "{more}": true}}"#
                )),
            })
        };
        let mut assembler = Assembler::new(Arrival::new("t".to_owned()));
        let stream = [
            relation(1, "public"),
            begin(),
            insert(1, 1),
            told("opens"),
            insert(1, 2),
            insert(1, 3),
            told("closes"),
            insert(1, 4),
        ];
        for message in stream {
            assert!(assembler.feed(message).unwrap().is_none());
        }
        let Some(Unit::Whole(whole)) = assembler.feed(commit()).unwrap() else { panic!("whole") };
        let kinds: Vec<_> = whole.changes.iter().map(|c| matches!(c, Change::Schema(_))).collect();
        assert_eq!(kinds, [false, true, false]);
        assert!(whole.is_alone());
    }

    #[test]
    fn a_large_transaction_comes_in_parts_that_say_which_is_first_and_last() {
        let mut assembler = Assembler::default();
        let mut parts = Vec::new();
        for message in [relation(1, "public"), begin(), insert(1, LARGE), insert(1, 1), commit()] {
            if let Some(Unit::Part(part)) = assembler.feed(message).unwrap() {
                parts.push((part.first, part.end, part.changes.len()));
            }
        }
        assert_eq!(parts, [(true, None, 1), (false, Some(Lsn(20)), 1)]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Assembler::default().feed(commit()).is_err());
        let mut assembler = Assembler::default();
        assembler.feed(relation(1, "public")).unwrap();
        assert!(assembler.feed(insert(1, 1)).is_err(), "outside a transaction");
        assembler.feed(begin()).unwrap();
        assert!(assembler.feed(insert(2, 1)).is_err(), "a table that was not described");
        let two = Message::Insert { relation: 1, new: vec![Value::Null, Value::Null] };
        assert!(assembler.feed(two).is_err(), "other columns");
        assert!(assembler.feed(begin()).is_err(), "a transaction inside another one");
    }
}
