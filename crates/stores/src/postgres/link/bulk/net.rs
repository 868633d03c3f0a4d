//! What neighbouring changes of a table come to: at most one change for each row.

use super::super::statement::needs_rewrite;
use super::super::table::{Lookup, TargetTable};
use super::super::unit::Change;
use bytes::Bytes;
use foldhash::fast::RandomState;
use mainstay_wire::pgoutput::{OldTuple, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// The changes have to be applied one by one, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct NotMergeable;

type Result<T> = std::result::Result<T, NotMergeable>;

/// A whole row, as it is at the end.
type Image<'a> = Cow<'a, [Value]>;

/// What becomes of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate<'a> {
    /// It was not there before.
    Inserted(Image<'a>),
    /// It was there before; values that never changed may be missing.
    Updated(Image<'a>),
    Deleted,
    /// It was there before, was deleted, and another one has its key.
    Replaced(Image<'a>),
    /// It was not there before, and is not there at the end.
    Gone,
}

#[derive(Debug)]
struct Row<'a> {
    /// A tuple that has the values of the key's columns.
    key: &'a [Value],
    fate: Fate<'a>,
}

/// Net changes of one table: first the deletes are to be made, then the updates, then the inserts.
#[derive(Debug, Default)]
pub(in super::super) struct Net<'a> {
    pub deletes: Vec<&'a [Value]>,
    pub updates: Vec<Update<'a>>,
    pub inserts: Vec<Image<'a>>,
}

#[derive(Debug, Clone)]
pub(in super::super) struct Update<'a> {
    pub key: &'a [Value],
    pub new: Image<'a>,
}

/// The values of a row's key.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    One(&'a Bytes),
    Many(Vec<&'a Bytes>),
}

fn key<'a>(columns: &[usize], row: &'a [Value]) -> Result<Key<'a>> {
    let value = |column: &usize| match &row[*column] {
        Value::Text(bytes) => Ok(bytes),
        _ => Err(NotMergeable),
    };
    match columns {
        [one] => Ok(Key::One(value(one)?)),
        many => Ok(Key::Many(many.iter().map(value).collect::<Result<_>>()?)),
    }
}

/// A number for a row's key, the same for equal keys of a table in one run of the program.
pub(in super::super) fn key_hash(table: u32, columns: &[usize], row: &[Value]) -> Result<u64> {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    Ok(HASHER.hash_one((table, key(columns, row)?)))
}

/// The net of changes of one table, given in the source's order.
pub(in super::super) fn net<'a>(
    table: &TargetTable,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<Net<'a>> {
    match (inserts_only(changes.clone()), &table.lookup) {
        (Err(NotMergeable), Lookup::Key(columns)) => Merger::new(table, columns).merge(changes),
        (inserts, _) => inserts,
    }
}

/// New rows alone have nothing to be merged with.
fn inserts_only<'a>(changes: impl Iterator<Item = &'a Change>) -> Result<Net<'a>> {
    let insert = |change: &'a Change| match change {
        Change::Insert { new, .. } => Ok(Cow::Borrowed(new.as_slice())),
        _ => Err(NotMergeable),
    };
    Ok(Net { inserts: changes.map(insert).collect::<Result<_>>()?, ..Net::default() })
}

struct Merger<'a, 't> {
    table: &'t TargetTable,
    columns: &'t [usize],
    index: HashMap<Key<'a>, usize, RandomState>,
    rows: Vec<Row<'a>>,
}

impl<'a, 't> Merger<'a, 't> {
    fn new(table: &'t TargetTable, columns: &'t [usize]) -> Self {
        Self { table, columns, index: HashMap::default(), rows: Vec::new() }
    }

    fn merge(mut self, changes: impl Iterator<Item = &'a Change>) -> Result<Net<'a>> {
        for change in changes {
            match change {
                Change::Insert { new, .. } => self.insert(new)?,
                Change::Update { old, new, .. } => self.update(old.as_ref(), new)?,
                Change::Delete { old, .. } => self.delete(old.tuple())?,
                Change::Truncate { .. } | Change::Schema(_) => return Err(NotMergeable),
            }
        }
        Ok(collect(self.rows))
    }

    /// The row's fate so far, or the place where its first one was put.
    fn row(&mut self, tuple: &'a [Value], first: Fate<'a>) -> Result<Option<&mut Row<'a>>> {
        match self.index.entry(key(self.columns, tuple)?) {
            Entry::Occupied(at) => Ok(self.rows.get_mut(*at.get())),
            Entry::Vacant(free) => {
                free.insert(self.rows.len());
                self.rows.push(Row { key: tuple, fate: first });
                Ok(None)
            }
        }
    }

    fn insert(&mut self, new: &'a [Value]) -> Result<()> {
        if new.contains(&Value::UnchangedToast) {
            return Err(NotMergeable);
        }
        let Some(row) = self.row(new, Fate::Inserted(Cow::Borrowed(new)))? else { return Ok(()) };
        row.fate = match &row.fate {
            Fate::Deleted => Fate::Replaced(Cow::Borrowed(new)),
            Fate::Gone => Fate::Inserted(Cow::Borrowed(new)),
            Fate::Inserted(_) | Fate::Updated(_) | Fate::Replaced(_) => return Err(NotMergeable),
        };
        Ok(())
    }

    fn update(&mut self, old: Option<&'a OldTuple>, new: &'a [Value]) -> Result<()> {
        if needs_rewrite(self.table, old, new) {
            return Err(NotMergeable);
        }
        if let Some(old) = old {
            self.keeps_key(old.tuple(), new)?;
        }
        let key = old.map_or(new, |old| old.tuple().as_slice());
        let Some(row) = self.row(key, Fate::Updated(Cow::Borrowed(new)))? else { return Ok(()) };
        row.fate = match std::mem::replace(&mut row.fate, Fate::Gone) {
            Fate::Inserted(before) => Fate::Inserted(merged(before, new)),
            Fate::Updated(before) => Fate::Updated(merged(before, new)),
            Fate::Replaced(before) => Fate::Replaced(merged(before, new)),
            Fate::Deleted | Fate::Gone => return Err(NotMergeable),
        };
        Ok(())
    }

    /// A row that took another key is not to be merged.
    fn keeps_key(&self, old: &[Value], new: &[Value]) -> Result<()> {
        let changed = |i: &usize| new[*i] != Value::UnchangedToast && old[*i] != new[*i];
        if self.columns.iter().any(changed) { Err(NotMergeable) } else { Ok(()) }
    }

    fn delete(&mut self, old: &'a [Value]) -> Result<()> {
        let Some(row) = self.row(old, Fate::Deleted)? else { return Ok(()) };
        row.fate = match &row.fate {
            Fate::Inserted(_) => Fate::Gone,
            Fate::Updated(_) | Fate::Replaced(_) => Fate::Deleted,
            Fate::Deleted | Fate::Gone => return Err(NotMergeable),
        };
        Ok(())
    }
}

/// The newer image, with what it leaves out taken from the older one.
fn merged<'a>(before: Image<'a>, new: &'a [Value]) -> Image<'a> {
    if !new.contains(&Value::UnchangedToast) {
        return Cow::Borrowed(new);
    }
    let value = |(before, new): (&Value, &Value)| match new {
        Value::UnchangedToast => before.clone(),
        new => new.clone(),
    };
    Cow::Owned(before.iter().zip(new).map(value).collect())
}

fn collect(rows: Vec<Row<'_>>) -> Net<'_> {
    let mut net = Net::default();
    for Row { key, fate } in rows {
        match fate {
            Fate::Inserted(new) => net.inserts.push(new),
            Fate::Updated(new) => net.updates.push(Update { key, new }),
            Fate::Deleted => net.deletes.push(key),
            Fate::Replaced(new) => {
                net.deletes.push(key);
                net.inserts.push(new);
            }
            Fate::Gone => {}
        }
    }
    net
}

impl<'a> Net<'a> {
    /// Takes out what is to be done later: rows for whose key `late` says so.
    pub fn split_off(&mut self, late: impl Fn(&[Value]) -> bool) -> Net<'a> {
        Net {
            deletes: self.deletes.extract_if(.., |key| late(key)).collect(),
            updates: self.updates.extract_if(.., |update| late(update.key)).collect(),
            inserts: self.inserts.extract_if(.., |new| late(new)).collect(),
        }
    }

    /// A tuple with the key's values for each row.
    pub fn keys(&self) -> impl Iterator<Item = &[Value]> {
        let updates = self.updates.iter().map(|update| update.key);
        let inserts = self.inserts.iter().map(|new| &**new);
        self.deletes.iter().copied().chain(updates).chain(inserts)
    }
}
