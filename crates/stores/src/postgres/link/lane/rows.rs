//! Changes of rows, one by one or many at once, within a lane's transaction.

use super::super::bulk::{Array, BulkShape, Missing, Net, Update, array, copy_row};
use super::super::failure::LinkError;
use super::super::pipeline::{Expect, refused};
use super::super::schema::{self, SchemaChange};
use super::super::skip::Rule;
use super::super::statement::{self, Planned, Unplannable};
use super::super::table::{Lookup, TargetTable};
use super::super::unit::{Change, SourceTable};
use super::Lane;
use super::plan::{MANY, Placed, Rows, Task};
use super::statements::AnyShape;
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

/// Bytes that COPY is given at once.
const CHUNK: usize = 256 * 1024;
/// Rows of one statement.
const ROWS: usize = 10_000;
/// Fewer new rows than this are not copied: COPY has to be begun and ended, and both waited for.
const COPIED: usize = 100;

/// What of a change is right at a target some rows of which are from a later time.
enum Part {
    Whole,
    Nothing,
    Half(Change),
}

impl Lane {
    /// The changes that are not to be left out. One of which only half is right here is for change
    /// by change.
    pub(super) fn without_skipped<'a>(
        &self,
        changes: &[Placed<'a>],
    ) -> Result<Vec<Placed<'a>>, LinkError> {
        let mut kept = Vec::with_capacity(changes.len());
        for placed in changes {
            match (self.right_part(*placed)?, placed.change.table()) {
                (Part::Nothing, _) => {}
                (Part::Half(_), Some(table)) => {
                    return Err(self.crosses(table, placed.end, KEY));
                }
                (Part::Whole | Part::Half(_), _) => kept.push(*placed),
            }
        }
        Ok(kept)
    }

    fn right_part(&self, placed: Placed<'_>) -> Result<Part, LinkError> {
        let at = placed.commit_lsn;
        let (table, rule) = match placed.change {
            Change::Insert { table, new } => (table, self.skip.insert(table, at, new)),
            Change::Update { table, old, new } => {
                (table, self.skip.update(table, at, old.as_ref(), new))
            }
            Change::Delete { table, old } => (table, self.skip.delete(table, at, old)),
            Change::Truncate { .. } | Change::Schema(_) => return Ok(Part::Whole),
        };
        match (rule, placed.change) {
            (Rule::Apply, _) => Ok(Part::Whole),
            (Rule::LeaveOut, _) => Ok(Part::Nothing),
            (Rule::Arrives, Change::Update { table, new, .. }) => {
                Ok(Part::Half(Change::Insert { table: Arc::clone(table), new: new.clone() }))
            }
            (Rule::Leaves, Change::Update { table, old: Some(old), .. }) => {
                Ok(Part::Half(Change::Delete { table: Arc::clone(table), old: old.clone() }))
            }
            _ => Err(self.crosses(table, placed.end, KEY)),
        }
    }

    fn crosses(&self, table: &SourceTable, position: Lsn, what: &'static str) -> LinkError {
        let (place, table) = (self.sql.place().to_owned(), table.name());
        LinkError::PutRightCrossed { place, table, position, what }
    }

    /// Sends one change of a transaction.
    pub(super) async fn change(&mut self, placed: Placed<'_>) -> Result<(), LinkError> {
        let half = match self.right_part(placed)? {
            Part::Nothing => return Ok(()),
            Part::Whole => None,
            Part::Half(half) => Some(half),
        };
        let placed = Placed { change: half.as_ref().unwrap_or(placed.change), ..placed };
        match placed.change {
            Change::Insert { table, .. }
            | Change::Update { table, .. }
            | Change::Delete { table, .. } => self.row(table, placed).await,
            Change::Schema(change) => self.schema(change).await,
            Change::Truncate { tables, cascade, restart_identity } => {
                self.truncate(tables, *cascade, *restart_identity, placed.commit_lsn).await
            }
        }
    }

    /// What was worked out for the tables as they were is forgotten.
    async fn schema(&mut self, change: &SchemaChange) -> Result<(), LinkError> {
        self.settle().await?;
        let rows_are_newer = self.skip.has_newer_tables(change.at);
        schema::apply(&self.sql, &self.spec, change, rows_are_newer).await?;
        self.forget();
        Ok(())
    }

    async fn row(
        &mut self,
        source: &Arc<SourceTable>,
        placed: Placed<'_>,
    ) -> Result<(), LinkError> {
        let table = self.table(source).await?;
        let (shape, values) =
            plan(&table, placed.change).map_err(|why| self.unplannable(&table, why))?;
        let verb = shape.verb();
        let statement = self.statement(source.relation.id, &table, AnyShape::One(shape)).await?;
        let client = Arc::clone(self.sql.client());
        let answer = async move { client.execute_raw(&statement, values).await };
        let expect = Expect::Rows { table, verb, rows: 1, end: placed.end };
        self.pipeline.send(&self.sql, answer, expect).await
    }

    fn unplannable(&self, table: &TargetTable, why: impl std::fmt::Display) -> LinkError {
        LinkError::NotUnderstood {
            place: self.sql.place().to_owned(),
            what: format!("a change of {} {why}", table.name),
        }
    }

    /// The source lists every table that it truncated, also those that CASCADE reached.
    async fn truncate(
        &mut self,
        tables: &[Arc<SourceTable>],
        cascade: bool,
        restart_identity: bool,
        commit_lsn: Lsn,
    ) -> Result<(), LinkError> {
        let (mut quoted, mut left_out) = (Vec::new(), false);
        for source in tables {
            match self.skip.truncate(source, commit_lsn) {
                Rule::LeaveOut => left_out = true,
                Rule::Apply => quoted.push(self.table(source).await?.quoted.clone()),
                _ => return Err(self.crosses(source, commit_lsn, "the table was truncated")),
            }
        }
        if quoted.is_empty() {
            return Ok(());
        }
        let restart = if restart_identity { " RESTART IDENTITY" } else { "" };
        // A cascade could reach a table that is left out.
        let cascade = if cascade && !left_out { " CASCADE" } else { "" };
        let text = format!("TRUNCATE ONLY {}{restart}{cascade}", quoted.join(", ONLY "));
        let client = Arc::clone(self.sql.client());
        let answer = async move { client.batch_execute(&text).await.map(|()| 0) };
        self.pipeline.send(&self.sql, answer, Expect::Tables(quoted.join(", "))).await
    }

    /// Deletes, then updates, then inserts: a key that is taken anew is free by then.
    pub(super) async fn task(&mut self, task: Task<'_>) -> Result<(), LinkError> {
        let Task { source, table, rows } = task;
        let net = match rows {
            Rows::Net(net) => net,
            Rows::InOrder(changes) => {
                for placed in changes {
                    self.change(placed).await?;
                }
                return Ok(());
            }
        };
        let Net { deletes, updates, inserts } = net;
        let id = source.relation.id;
        let deletes = in_key_order(&table, deletes, |row| row);
        for rows in deletes.chunks(ROWS) {
            let arrays = keys(&table, rows).map_err(|_| self.missing(&table))?;
            self.many(id, &table, BulkShape::Delete, "delete", arrays, rows.len()).await?;
        }
        let updates = in_key_order(&table, updates, |update| update.key);
        for (set, rows) in by_columns(&table, &updates) {
            for rows in rows.chunks(ROWS) {
                let arrays = sets(&table, &set, rows).map_err(|_| self.missing(&table))?;
                let shape = BulkShape::Update(set.clone());
                self.many(id, &table, shape, "update", arrays, rows.len()).await?;
            }
        }
        self.inserts(id, &table, &inserts).await
    }

    fn missing(&self, table: &TargetTable) -> LinkError {
        self.unplannable(table, Unplannable::Missing)
    }

    async fn many(
        &mut self,
        id: u32,
        table: &Arc<TargetTable>,
        shape: BulkShape,
        verb: &'static str,
        arrays: Vec<Array>,
        rows: usize,
    ) -> Result<(), LinkError> {
        let statement = self.statement(id, table, AnyShape::Many(shape)).await?;
        let client = Arc::clone(self.sql.client());
        let answer = async move { client.execute_raw(&statement, arrays).await };
        let (table, rows) = (Arc::clone(table), rows as u64);
        let expect = Expect::Rows { table, verb, rows, end: Lsn::default() };
        self.pipeline.send(&self.sql, answer, expect).await
    }

    async fn inserts(
        &mut self,
        id: u32,
        table: &Arc<TargetTable>,
        rows: &[Cow<'_, [Value]>],
    ) -> Result<(), LinkError> {
        if rows.len() >= COPIED {
            return self.copy(id, table, rows).await;
        }
        if rows.len() >= MANY && !table.columns.is_empty() {
            let column =
                |i: usize| array(table.columns[i].type_id, rows.iter().map(move |row| &row[i]));
            let arrays = (0..table.columns.len()).map(column).collect::<Result<_, _>>();
            let arrays = arrays.map_err(|_| self.missing(table))?;
            return self.many(id, table, BulkShape::Insert, "insert", arrays, rows.len()).await;
        }
        for row in rows {
            let (shape, values) =
                statement::insert(row).map_err(|why| self.unplannable(table, why))?;
            let statement = self.statement(id, table, AnyShape::One(shape)).await?;
            let client = Arc::clone(self.sql.client());
            let answer = async move { client.execute_raw(&statement, values).await };
            let table = Arc::clone(table);
            let expect = Expect::Rows { table, verb: "insert", rows: 1, end: Lsn::default() };
            self.pipeline.send(&self.sql, answer, expect).await?;
        }
        Ok(())
    }

    async fn copy(
        &mut self,
        id: u32,
        table: &Arc<TargetTable>,
        rows: &[Cow<'_, [Value]>],
    ) -> Result<(), LinkError> {
        let statement = self.statement(id, table, AnyShape::Many(BulkShape::Copy)).await?;
        let client = Arc::clone(self.sql.client());
        let copied = async {
            let mut into = pin!(client.copy_in::<_, Bytes>(&statement).await?);
            let mut chunk = BytesMut::with_capacity(CHUNK + CHUNK / 4);
            for row in rows {
                if copy_row(row, &mut chunk).is_err() {
                    // Dropped unfinished, the copy fails.
                    return Ok(None);
                }
                if chunk.len() >= CHUNK {
                    into.send(chunk.split().freeze()).await?;
                    chunk.reserve(CHUNK + CHUNK / 4);
                }
            }
            into.send(chunk.freeze()).await?;
            into.finish().await.map(Some)
        };
        match copied.await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.missing(table)),
            Err(error) => {
                // A statement that failed before this one is the error to tell.
                self.settle().await?;
                Err(refused(&self.sql, &table.name, &error))
            }
        }
    }
}

const KEY: &str = "a row took or left a key that was put right";

fn plan(table: &TargetTable, change: &Change) -> Result<Planned, Unplannable> {
    match change {
        Change::Insert { new, .. } => statement::insert(new),
        Change::Update { old, new, .. } => statement::update(table, old.as_ref(), new),
        Change::Delete { old, .. } => statement::delete(table, old),
        Change::Truncate { .. } | Change::Schema(_) => Err(Unplannable::NoIdentity),
    }
}

fn key_columns(table: &TargetTable) -> &[usize] {
    match &table.lookup {
        Lookup::Key(columns) => columns,
        Lookup::WholeRow | Lookup::Nothing => &[],
    }
}

fn keys(table: &TargetTable, rows: &[&[Value]]) -> Result<Vec<Array>, Missing> {
    let column = |i: &usize| array(table.columns[*i].type_id, rows.iter().map(|row| &row[*i]));
    key_columns(table).iter().map(column).collect()
}

fn sets(table: &TargetTable, set: &[u16], rows: &[Update<'_>]) -> Result<Vec<Array>, Missing> {
    let value = |i: usize| array(table.columns[i].type_id, rows.iter().map(move |row| &row.new[i]));
    let key = |i: usize| array(table.columns[i].type_id, rows.iter().map(move |row| &row.key[i]));
    let values = set.iter().map(|i| value(usize::from(*i)));
    values.chain(key_columns(table).iter().map(|i| key(*i))).collect()
}

/// Rows whose keys are neighbours lie on neighbouring pages, often.
fn in_key_order<'a, T>(
    table: &TargetTable,
    mut rows: Vec<T>,
    tuple: impl Fn(&T) -> &'a [Value],
) -> Vec<T> {
    let integer = |row: &T, column: usize| match &tuple(row)[column] {
        Value::Text(digits) => std::str::from_utf8(digits).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    if let Some(column) = key_columns(table).first() {
        rows.sort_by_cached_key(|row| integer(row, *column));
    }
    rows
}

/// Updates by the columns that they set: a value that was not sent stays as it is.
fn by_columns<'a>(table: &TargetTable, updates: &[Update<'a>]) -> Vec<(Vec<u16>, Vec<Update<'a>>)> {
    let mut places: HashMap<Vec<u16>, usize> = HashMap::new();
    let mut groups: Vec<(Vec<u16>, Vec<Update<'a>>)> = Vec::new();
    for update in updates {
        let key = key_columns(table);
        let is_set = |i: &usize| {
            let fixed = table.columns[*i].always_identity || key.contains(i);
            update.new[*i] != Value::UnchangedToast && !fixed
        };
        let set: Vec<u16> = (0..update.new.len()).filter(is_set).map(|i| i as u16).collect();
        let at = *places.entry(set).or_insert_with_key(|set| {
            groups.push((set.clone(), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, rows)) = groups.get_mut(at) {
            rows.push(update.clone());
        }
    }
    groups
}
