//! What is to be done for a batch: by table, and which rows it touches.

use super::super::bulk::{Net, key_hash, net};
use super::super::table::{Lookup, Merging, TargetTable};
use super::super::unit::{Change, SourceTable};
use foldhash::fast::RandomState;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Fewer changes of a table than this are applied one by one: a statement each is as quick.
pub(super) const MANY: usize = 3;

/// A change, with its transaction's commit record.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Placed<'a> {
    pub change: &'a Change,
    pub commit_lsn: Lsn,
    pub end: Lsn,
}

/// Neighbouring changes of one table, in the source's order.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub source: &'a Arc<SourceTable>,
    pub changes: Vec<Placed<'a>>,
}

/// How many changes from the first on are of rows, with no table described in two ways.
pub(super) fn run_of(changes: &[Placed<'_>]) -> usize {
    let mut described: HashMap<u32, &Arc<SourceTable>> = HashMap::new();
    let mut last: Option<&Arc<SourceTable>> = None;
    for (run, placed) in changes.iter().enumerate() {
        let Some(table) = placed.change.table() else { return run };
        if last.is_some_and(|last| Arc::ptr_eq(last, table)) {
            continue;
        }
        if !Arc::ptr_eq(described.entry(table.relation.id).or_insert(table), table) {
            return run;
        }
        last = Some(table);
    }
    changes.len()
}

/// By table, in the order of their first changes. The order between tables is free: foreign keys
/// are not checked in a replicating session, and everything becomes visible at once.
pub(super) fn by_table<'a>(run: &[Placed<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for placed in run {
        let Some(source) = placed.change.table() else { continue };
        let at = *places.entry(source.relation.id).or_insert_with(|| {
            groups.push(Group { source, changes: Vec::new() });
            groups.len() - 1
        });
        groups[at].changes.push(*placed);
    }
    groups
}

/// What is to be done to one table.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub source: &'a Arc<SourceTable>,
    pub table: Arc<TargetTable>,
    pub rows: Rows<'a>,
}

#[derive(Debug)]
pub(super) enum Rows<'a> {
    Net(Net<'a>),
    InOrder(Vec<Placed<'a>>),
}

impl<'a> Task<'a> {
    pub fn new(group: Group<'a>, table: Arc<TargetTable>) -> Self {
        let Group { source, changes } = group;
        let merged = match table.merging {
            Merging::Net | Merging::Independent if changes.len() >= MANY => {
                net(&table, changes.iter().map(|placed| placed.change)).ok()
            }
            _ => None,
        };
        let rows = merged.map_or(Rows::InOrder(changes), Rows::Net);
        Self { source, table, rows }
    }

    fn id(&self) -> u32 {
        self.source.relation.id
    }

    /// Its key's columns, when each row may be looked at by itself.
    fn key(&self) -> Option<&[usize]> {
        match (&self.table.lookup, self.table.merging, &self.rows) {
            (Lookup::Key(columns), Merging::Independent, Rows::Net(_)) => Some(columns),
            _ => None,
        }
    }

    /// Triggers that fire here change what they like.
    fn may_reach_anything(&self) -> bool {
        self.table.merging == Merging::InOrder
    }

    /// Only new rows, in a table without any unique index.
    fn only_adds(&self) -> bool {
        let keyless = !matches!(self.table.lookup, Lookup::Key(_));
        keyless && self.table.merging == Merging::Independent && matches!(self.rows, Rows::Net(_))
    }

    /// Takes out what must wait until `before` is committed.
    pub fn split_off(&mut self, before: &Touched) -> Option<Task<'a>> {
        let anything = before.anything || self.may_reach_anything();
        if !anything && (!before.tables.contains(&self.id()) || self.only_adds()) {
            return None;
        }
        let columns = self.key().map(<[usize]>::to_vec).unwrap_or_default();
        let id = self.id();
        let whole = anything || columns.is_empty() || before.whole.contains(&id);
        let rows = match &mut self.rows {
            Rows::InOrder(changes) => Rows::InOrder(std::mem::take(changes)),
            Rows::Net(net) if whole => Rows::Net(std::mem::take(net)),
            Rows::Net(net) => Rows::Net(net.split_off(|row| before.has(id, &columns, row))),
        };
        Some(Task { source: self.source, table: Arc::clone(&self.table), rows })
    }
}

/// The rows that a batch changes.
#[derive(Debug, Default)]
pub(in super::super) struct Touched {
    /// Perhaps rows of other tables too.
    anything: bool,
    tables: HashSet<u32>,
    /// Tables of which it is not known which rows.
    whole: HashSet<u32>,
    rows: HashSet<u64, RandomState>,
}

impl Touched {
    pub(super) fn by(tasks: &[Task<'_>]) -> Self {
        let mut touched = Self::default();
        for task in tasks {
            touched.anything |= task.may_reach_anything();
            touched.tables.insert(task.id());
            if !task.only_adds() && touched.add(task).is_none() {
                touched.whole.insert(task.id());
            }
        }
        touched
    }

    /// None when the rows are not known by their keys.
    fn add(&mut self, task: &Task<'_>) -> Option<()> {
        let (columns, Rows::Net(net)) = (task.key()?, &task.rows) else { return None };
        for row in net.keys() {
            self.rows.insert(key_hash(task.id(), columns, row).ok()?);
        }
        Some(())
    }

    fn has(&self, table: u32, columns: &[usize], row: &[Value]) -> bool {
        key_hash(table, columns, row).map_or(true, |hash| self.rows.contains(&hash))
    }
}
