//! Which rows the link changed: a bounded sample, for those who compare them again.
//!
//! Until the sample is full every change is in it. From then on each change since the sample was
//! taken last has the same chance to be in it. A batch costs a full sample one subtraction, and what
//! few of its changes take the place of others (K.-H. Li, "Reservoir-Sampling Algorithms of Time
//! Complexity O(n(1 + log(N/n)))", algorithm L).

use super::lane::Placed;
use super::table::{Lookup, TargetTable};
use super::unit::{Change, SourceTable};
use mainstay_wire::pgoutput::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes in the sample.
const MOST: usize = 10_000;
/// Bytes of a key that is noted.
const LONGEST: usize = 1_000;

/// A row's key, as the source's text of each of its columns.
pub type Key = Vec<String>;

/// What the link changed since that was asked last.
#[derive(Debug, Default)]
pub struct Changed {
    pub changes: u64,
    /// Of those, the ones whose rows are named in `tables`.
    pub noted: u64,
    /// Keys of rows that were changed, by `schema.table` and the names of the key's columns.
    pub tables: BTreeMap<(String, Vec<String>), BTreeSet<Key>>,
}

#[derive(Default)]
pub(super) struct Changes(Mutex<Sample>);

#[derive(Default)]
struct Sample {
    /// None for a change whose row cannot be named.
    notes: Vec<Option<Note>>,
    changes: u64,
    /// Changes to be passed over before one is noted.
    pass: u64,
    /// The largest of the chances that led the sample's changes into it.
    chance: f64,
}

struct Note {
    source: Arc<SourceTable>,
    table: Arc<TargetTable>,
    key: Key,
    /// Where the change gave the row another key.
    before: Option<Key>,
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, Sample> {
        // A sample that a panic elsewhere left half counted names rows all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in changes that are applied. `table` knows the tables that they were applied to.
    pub fn add(
        &self,
        changes: &[Placed<'_>],
        table: impl Fn(&Arc<SourceTable>) -> Option<Arc<TargetTable>>,
    ) {
        let mut sample = self.lock();
        sample.changes += changes.len() as u64;
        let mut rest = changes;
        while let Ok(pass) = usize::try_from(sample.pass)
            && let Some(next) = rest.get(pass)
        {
            rest = &rest[pass + 1..];
            sample.note(Note::of(next.change, &table));
        }
        sample.pass -= rest.len() as u64;
    }

    pub fn is_empty(&self) -> bool {
        self.lock().changes == 0
    }

    /// What was changed since this was called last.
    pub fn take(&self) -> Changed {
        let Sample { notes, changes, .. } = std::mem::take(&mut *self.lock());
        let mut changed = Changed { changes, ..Changed::default() };
        for Note { source, table, key, before } in notes.into_iter().flatten() {
            changed.noted += 1;
            let name = (source.name(), columns(&source, &table));
            changed.tables.entry(name).or_default().extend(before.into_iter().chain([key]));
        }
        changed
    }
}

impl Sample {
    fn note(&mut self, note: Option<Note>) {
        if self.notes.len() < MOST {
            self.notes.push(note);
            if self.notes.len() < MOST {
                return;
            }
            self.chance = 1.0;
        } else {
            let place = rand::random_range(0..MOST);
            self.notes[place] = note;
        }
        self.chance *= (unit().ln() / MOST as f64).exp();
        // Whole, not negative, and beyond all counting where the chance is nearly none.
        self.pass = (unit().ln() / (-self.chance).ln_1p()) as u64;
    }
}

/// Between 0 and 1, and never 0.
fn unit() -> f64 {
    1.0 - rand::random::<f64>()
}

impl Note {
    fn of(
        change: &Change,
        table: impl Fn(&Arc<SourceTable>) -> Option<Arc<TargetTable>>,
    ) -> Option<Self> {
        let source = change.table()?;
        let table = table(source)?;
        let columns = key_columns(&table)?;
        let (key, before) = match change {
            Change::Insert { new, .. } => (key(columns, new)?, None),
            Change::Delete { old, .. } => (key(columns, old.tuple())?, None),
            Change::Update { old: None, new, .. } => (key(columns, new)?, None),
            Change::Update { old: Some(old), new, .. } => {
                let before = key(columns, old.tuple())?;
                // A key that is stored out of line comes with its change only.
                let now = key(columns, new).unwrap_or_else(|| before.clone());
                let before = (before != now).then_some(before);
                (now, before)
            }
            Change::Truncate { .. } | Change::Schema(_) => return None,
        };
        Some(Self { source: Arc::clone(source), table, key, before })
    }
}

/// None where rows have no key, and where only an extension's operator could look one up by it.
fn key_columns(table: &TargetTable) -> Option<&[usize]> {
    let Lookup::Key(columns) = &table.lookup else { return None };
    let built_in = |i: &usize| table.columns[*i].equals.starts_with("OPERATOR(pg_catalog.");
    columns.iter().all(built_in).then_some(columns)
}

fn columns(source: &SourceTable, table: &TargetTable) -> Vec<String> {
    let columns = key_columns(table).unwrap_or_default().iter();
    columns.map(|i| source.relation.columns[*i].name.clone()).collect()
}

/// None when a part of it did not come with the change, or it is too long to be kept.
fn key(columns: &[usize], tuple: &[Value]) -> Option<Key> {
    let mut left = LONGEST;
    let mut text = |i: &usize| {
        let Value::Text(bytes) = &tuple[*i] else { return None };
        left = left.checked_sub(bytes.len())?;
        Some(std::str::from_utf8(bytes).ok()?.to_owned())
    };
    columns.iter().map(&mut text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::position::Lsn;
    use mainstay_wire::pgoutput::{Identity, Relation};
    use std::cell::Cell;

    /// Of a table without a key: such changes take their places in the sample, too.
    fn insert() -> Change {
        let (schema, name) = ("public".to_owned(), "t".to_owned());
        let relation =
            Relation { id: 1, schema, name, identity: Identity::Nothing, columns: Vec::new() };
        let table = Arc::new(SourceTable { relation, types: Vec::new() });
        Change::Insert { table, new: Vec::new() }
    }

    #[test]
    fn a_full_sample_looks_at_few_changes_and_holds_no_more_of_them() {
        let (changes, insert, looked) = (Changes::default(), insert(), Cell::new(0));
        let (commit_lsn, end) = (Lsn::default(), Lsn::default());
        let batch = vec![Placed { change: &insert, commit_lsn, end }; 1_000];
        for _ in 0..1_000 {
            changes.add(&batch, |_| {
                looked.set(looked.get() + 1);
                None
            });
        }
        assert_eq!(changes.lock().notes.len(), MOST);
        // The expected number is 10,000 and 10,000 times the logarithm of 100.
        assert!((54_000..58_000).contains(&looked.get()), "{}", looked.get());
        let changed = changes.take();
        assert_eq!((changed.changes, changed.noted), (1_000_000, 0));
        assert!(changes.is_empty() && changes.lock().notes.is_empty());
    }
}
