//! Rows that were taken from a newer snapshot of the source (`mainstay.put_right`), and whole
//! tables that a resumed first copy took from one (`mainstay.copied`): older changes to them are
//! skipped until the link has passed that snapshot.
//!
//! Invariant: a transaction whose commit record begins before a snapshot's position is in that
//! snapshot, and no other one is.

use super::failure::LinkError;
use super::resume;
use super::sql::Sql;
use super::unit::SourceTable;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{OldTuple, Value};
use std::collections::{HashMap, HashSet};

/// Values of the columns that tell a table's rows apart, as text.
pub(super) type Key = Vec<Option<String>>;

/// What to do with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Apply,
    LeaveOut,
    /// It moves a row from a named key to one that nobody named: here the row is new.
    Arrives,
    /// It moves a row to a named key from one that nobody named: here the row goes.
    Leaves,
    /// Whether it concerns a named row cannot be told, or not what the row is: neither applying nor
    /// leaving it out is right.
    Crosses,
}

#[derive(Debug, Default)]
pub(super) struct SkipSet {
    until: Lsn,
    tables: HashMap<String, Named>,
    /// Tables whose rows are all as of a position.
    copied: HashMap<String, Lsn>,
}

/// The named rows of a table. Under replica identity full the history marks every column, so the
/// key's columns are named too.
#[derive(Debug)]
struct Named {
    columns: Vec<String>,
    keys: HashSet<Key>,
}

impl SkipSet {
    pub async fn load(sql: &Sql, link: &str, position: Lsn) -> Result<Self, LinkError> {
        const NAMED: &str = "SELECT table_name, columns, key::text, until::text \
                             FROM mainstay.put_right \
                             WHERE link = $1 AND until > $2::text::pg_lsn";
        let rows =
            sql.rows("read mainstay.put_right", NAMED, &[&link, &position.to_string()]).await?;
        let mut set = Self::default();
        for row in rows {
            let damaged = || LinkError::NotUnderstood {
                place: sql.place().to_owned(),
                what: "a row of mainstay.put_right is damaged".to_owned(),
            };
            let key: Key = serde_json::from_str(row.get(2)).map_err(|_| damaged())?;
            let until: Lsn = row.get::<_, &str>(3).parse().map_err(|_| damaged())?;
            set.add(row.get(0), row.get(1), key, until).ok_or_else(damaged)?;
        }
        set.load_copied(sql, link, position).await?;
        Ok(set)
    }

    async fn load_copied(&mut self, sql: &Sql, link: &str, position: Lsn) -> Result<(), LinkError> {
        const COPIED: &str = "SELECT table_name, at::text FROM mainstay.copied \
                              WHERE link = $1 AND at > $2::text::pg_lsn";
        let rows =
            sql.rows("read mainstay.copied", COPIED, &[&link, &position.to_string()]).await?;
        for row in rows {
            let at = resume::parse_lsn(sql, row.get(1))?;
            self.add_copied(row.get(0), at);
        }
        Ok(())
    }

    fn add_copied(&mut self, table: String, at: Lsn) {
        self.until = self.until.max(at);
        self.copied.insert(table, at);
    }

    /// The change is in the table's rows already.
    fn is_copied(&self, table: &SourceTable, commit_lsn: Lsn) -> bool {
        !self.copied.is_empty() && self.copied.get(&table.name()).is_some_and(|at| commit_lsn < *at)
    }

    /// Some tables were copied as of a later position than `at`.
    pub fn has_newer_tables(&self, at: Lsn) -> bool {
        self.copied.values().any(|copied| at < *copied)
    }

    /// None when the table's rows are named by other columns already.
    fn add(&mut self, table: String, columns: Vec<String>, key: Key, until: Lsn) -> Option<()> {
        self.until = self.until.max(until);
        let new = || Named { columns: columns.clone(), keys: HashSet::new() };
        let named = self.tables.entry(table).or_insert_with(new);
        let fits = named.columns == columns && named.columns.len() == key.len();
        fits.then(|| {
            named.keys.insert(key);
        })
    }

    /// The position from which on nothing is skipped, while something is.
    pub fn until(&self) -> Option<Lsn> {
        (!self.tables.is_empty() || !self.copied.is_empty()).then_some(self.until)
    }

    pub fn clear(&mut self) {
        self.tables.clear();
        self.copied.clear();
    }

    /// What is named of `table` for a transaction whose commit record begins at `commit_lsn`:
    /// `until` is where a record ended, so none lies between its begin and end.
    fn named(&self, table: &SourceTable, commit_lsn: Lsn) -> Option<&Named> {
        if self.tables.is_empty() || commit_lsn >= self.until {
            return None;
        }
        self.tables.get(&table.name())
    }

    pub fn insert(&self, table: &SourceTable, commit_lsn: Lsn, new: &[Value]) -> Rule {
        if self.is_copied(table, commit_lsn) {
            return Rule::LeaveOut;
        }
        let Some(named) = self.named(table, commit_lsn) else { return Rule::Apply };
        named.rule(table, Row { values: new, key_only: false })
    }

    pub fn delete(&self, table: &SourceTable, commit_lsn: Lsn, old: &OldTuple) -> Rule {
        if self.is_copied(table, commit_lsn) {
            return Rule::LeaveOut;
        }
        let Some(named) = self.named(table, commit_lsn) else { return Rule::Apply };
        named.rule(table, Row::old(old))
    }

    pub fn update(
        &self,
        table: &SourceTable,
        commit_lsn: Lsn,
        old: Option<&OldTuple>,
        new: &[Value],
    ) -> Rule {
        if self.is_copied(table, commit_lsn) {
            return Rule::LeaveOut;
        }
        let Some(named) = self.named(table, commit_lsn) else { return Rule::Apply };
        let is = Row { values: new, key_only: false };
        let was = old.map_or(is, Row::old);
        match (named.key(table, was, was), named.key(table, is, was)) {
            (Some(was), Some(is)) => match (named.keys.contains(&was), named.keys.contains(&is)) {
                (true, true) => Rule::LeaveOut,
                (false, false) => Rule::Apply,
                // A value that was not sent is in a row that is not here.
                (true, false) if new.contains(&Value::UnchangedToast) => Rule::Crosses,
                (true, false) => Rule::Arrives,
                (false, true) => Rule::Leaves,
            },
            _ => Rule::Crosses,
        }
    }

    /// A truncate would take rows away that were put right as of a later time.
    pub fn truncate(&self, table: &SourceTable, commit_lsn: Lsn) -> Rule {
        if self.is_copied(table, commit_lsn) {
            return Rule::LeaveOut;
        }
        self.named(table, commit_lsn).map_or(Rule::Apply, |_| Rule::Crosses)
    }
}

/// A row as it was sent. Of an old row perhaps only the replica identity was.
#[derive(Clone, Copy)]
struct Row<'a> {
    values: &'a [Value],
    key_only: bool,
}

impl<'a> Row<'a> {
    fn old(old: &'a OldTuple) -> Self {
        Self { values: old.tuple(), key_only: matches!(old, OldTuple::Key(_)) }
    }
}

impl Named {
    fn rule(&self, table: &SourceTable, row: Row<'_>) -> Rule {
        match self.key(table, row, row) {
            Some(key) if self.keys.contains(&key) => Rule::LeaveOut,
            Some(_) => Rule::Apply,
            None => Rule::Crosses,
        }
    }

    /// The row's key; a value that was left as it was is the one from before. None when a value
    /// was not sent, so that nobody can tell whether the row is named.
    fn key(&self, table: &SourceTable, row: Row<'_>, before: Row<'_>) -> Option<Key> {
        self.columns.iter().map(|name| value(table, name, row, before)).collect()
    }
}

fn value(table: &SourceTable, name: &str, row: Row<'_>, before: Row<'_>) -> Option<Option<String>> {
    let columns = &table.relation.columns;
    let place = columns.iter().position(|column| column.name == *name)?;
    let known = |row: Row<'_>| !row.key_only || columns[place].key;
    let row = if row.values[place] == Value::UnchangedToast { before } else { row };
    match &row.values[place] {
        _ if !known(row) => None,
        Value::Null => Some(None),
        Value::Text(bytes) => Some(Some(String::from_utf8_lossy(bytes).into_owned())),
        Value::UnchangedToast | Value::Binary(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mainstay_wire::pgoutput::{Column, Identity, Relation};

    fn table() -> SourceTable {
        let column =
            |name: &str, key| Column { key, name: name.to_owned(), type_id: 25, type_modifier: -1 };
        let relation = Relation {
            id: 1,
            schema: "public".into(),
            name: "t".into(),
            identity: Identity::Default,
            columns: vec![column("note", false), column("id", true)],
        };
        SourceTable { relation, types: vec![None, None] }
    }

    fn row(id: &str) -> Vec<Value> {
        vec![Value::Null, Value::Text(Bytes::copy_from_slice(id.as_bytes()))]
    }

    fn naming(id: &str) -> SkipSet {
        let mut set = SkipSet::default();
        set.add("public.t".into(), vec!["id".into()], vec![Some(id.into())], Lsn(100)).unwrap();
        set
    }

    #[test]
    fn a_named_row_is_skipped_until_its_snapshot_and_then_applied() {
        let (set, table) = (naming("1"), table());
        assert_eq!(set.insert(&table, Lsn(99), &row("1")), Rule::LeaveOut);
        assert_eq!(set.insert(&table, Lsn(100), &row("1")), Rule::Apply);
        assert_eq!(set.insert(&table, Lsn(99), &row("2")), Rule::Apply);
    }

    #[test]
    fn changes_to_a_table_that_was_copied_as_of_a_later_position_are_left_out() {
        let (mut set, table) = (SkipSet::default(), table());
        set.add_copied("public.t".into(), Lsn(100));
        set.add_copied("public.u".into(), Lsn(200));
        assert_eq!(set.until(), Some(Lsn(200)));
        let old = OldTuple::Key(row("1"));
        assert_eq!(set.insert(&table, Lsn(99), &row("1")), Rule::LeaveOut);
        assert_eq!(set.update(&table, Lsn(99), None, &row("1")), Rule::LeaveOut);
        assert_eq!(set.delete(&table, Lsn(99), &old), Rule::LeaveOut);
        assert_eq!(set.truncate(&table, Lsn(99)), Rule::LeaveOut);
        assert_eq!(set.delete(&table, Lsn(100), &old), Rule::Apply);
        assert_eq!(set.truncate(&table, Lsn(100)), Rule::Apply);
        set.clear();
        assert_eq!((set.until(), set.truncate(&table, Lsn(9))), (None, Rule::Apply));
    }

    #[test]
    fn a_row_that_nobody_can_tell_to_be_named_stops_the_link() {
        let table = table();
        let mut set = SkipSet::default();
        set.add("public.t".into(), vec!["note".into()], vec![None], Lsn(100)).unwrap();
        // Only the columns of the replica identity were sent, and the note is none of them.
        assert_eq!(set.delete(&table, Lsn(9), &OldTuple::Key(row("1"))), Rule::Crosses);
        assert_eq!(set.delete(&table, Lsn(9), &OldTuple::Full(row("1"))), Rule::LeaveOut);
        assert_eq!(set.add("public.t".into(), vec!["id".into()], vec![None], Lsn(1)), None);
    }

    #[test]
    fn a_row_that_leaves_a_named_key_is_new_and_one_that_takes_it_goes() {
        let (set, table) = (naming("1"), table());
        let old = OldTuple::Key(row("1"));
        assert_eq!(set.update(&table, Lsn(9), Some(&old), &row("2")), Rule::Arrives);
        let partly = [Value::UnchangedToast, row("2").remove(1)];
        assert_eq!(set.update(&table, Lsn(9), Some(&old), &partly), Rule::Crosses);
        let old = OldTuple::Key(row("2"));
        assert_eq!(set.update(&table, Lsn(9), Some(&old), &row("1")), Rule::Leaves);
        assert_eq!(set.update(&table, Lsn(9), Some(&old), &row("3")), Rule::Apply);
        assert_eq!(set.update(&table, Lsn(100), Some(&old), &row("1")), Rule::Apply);
        assert_eq!(set.update(&table, Lsn(9), None, &row("1")), Rule::LeaveOut);
        assert_eq!(set.update(&table, Lsn(9), None, &row("3")), Rule::Apply);
        let full = OldTuple::Full(row("1"));
        assert_eq!(set.update(&table, Lsn(9), Some(&full), &row("1")), Rule::LeaveOut);
        assert_eq!(set.truncate(&table, Lsn(9)), Rule::Crosses);
        assert_eq!(set.truncate(&table, Lsn(100)), Rule::Apply);
    }
}
