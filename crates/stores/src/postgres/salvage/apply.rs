//! One change of a salvage at the active site, unless something there stands against it.

use super::format::{Change, Columns, Op, Value};
use super::target::{Outcome, Target, by_key, by_values, fits, writable};
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Error;

const OTHER_VALUES: &str = "the active site has a row with this key and other values";
const CHANGED: &str = "the active site's row is not as it was before this change";
const UNKNOWN: &str = "the history does not hold the row as it was before this change, so it \
     cannot be told whether the active site changed it since";

/// How one change is made.
pub(super) struct With<'a> {
    /// The row as the change found it, where that is known.
    pub before: Option<&'a Columns>,
    /// A person wants it made also where the active site changed the row since.
    pub overwrite: bool,
}

impl Target {
    pub async fn apply(&mut self, change: &Change, with: &With<'_>) -> Result<Outcome, Fault> {
        let table = match fits(self.table(&change.table).await?, change) {
            Ok(table) => table,
            Err(why) => return Ok(Outcome::conflict(why, None)),
        };
        match change.op {
            Op::Insert => self.insert(&table, change, with.overwrite).await,
            Op::Truncate => self.truncate(&table, with.overwrite).await,
            Op::Update | Op::Delete if change.key.is_none() => {
                self.without_key(&table, change).await
            }
            Op::Update => self.update(&table, change, with).await,
            Op::Delete => self.delete(&table, change, with).await,
        }
    }

    async fn insert(
        &mut self,
        table: &Table,
        change: &Change,
        overwrite: bool,
    ) -> Result<Outcome, Fault> {
        let Some(new) = change.new.as_ref().map(|new| writable(new, table)) else {
            return Ok(Outcome::conflict("the salvage does not hold the row", None));
        };
        match self.insert_row(table, &new).await {
            Ok(1) => Ok(Outcome::Done),
            Ok(_) => self.there(table, change, &new, overwrite).await,
            Err(error) => Ok(Outcome::conflict(self.refusal(&error)?, None)),
        }
    }

    /// Some row stands in the way: the same one, or another.
    async fn there(
        &mut self,
        table: &Table,
        change: &Change,
        new: &Columns,
        overwrite: bool,
    ) -> Result<Outcome, Fault> {
        let found = match &change.key {
            Some(key) => self.locked(table, key).await?,
            None => None,
        };
        match (found, &change.key) {
            (Some(found), _) if same(&found, new) => Ok(Outcome::AlreadyThere),
            (Some(found), Some(key)) if overwrite => self.set(table, key, &found, new).await,
            (Some(found), _) => Ok(Outcome::conflict(OTHER_VALUES, Some(found))),
            (None, _) => {
                let why = "another row of the active site has one of its unique values";
                Ok(Outcome::conflict(why, None))
            }
        }
    }

    async fn update(
        &mut self,
        table: &Table,
        change: &Change,
        with: &With<'_>,
    ) -> Result<Outcome, Fault> {
        let (Some(key), Some(after), Some(row)) = (&change.key, change.new_key(), &change.new)
        else {
            return Ok(Outcome::conflict("the salvage does not hold the row", None));
        };
        let new = writable(row, table);
        match self.locked(table, key).await? {
            None if after != *key => match self.locked(table, &after).await? {
                Some(found) if same(&found, &new) => Ok(Outcome::AlreadyThere),
                _ => self.update_of_none(table, row, &new, with).await,
            },
            None => self.update_of_none(table, row, &new, with).await,
            Some(found) if same(&found, &new) => Ok(Outcome::AlreadyThere),
            Some(found) => match against(&found, table, with) {
                None => self.set(table, key, &found, &new).await,
                Some(why) => Ok(Outcome::conflict(why, Some(found))),
            },
        }
    }

    async fn update_of_none(
        &mut self,
        table: &Table,
        row: &Columns,
        new: &Columns,
        with: &With<'_>,
    ) -> Result<Outcome, Fault> {
        let whole = row.0.iter().all(|(_, value)| *value != Value::Unchanged);
        if !(with.overwrite && whole) {
            return Ok(Outcome::conflict("the active site has no row with this key", None));
        }
        let done = self.insert_row(table, new).await;
        self.one(done)
    }

    async fn delete(
        &mut self,
        table: &Table,
        change: &Change,
        with: &With<'_>,
    ) -> Result<Outcome, Fault> {
        let Some(key) = &change.key else { return self.without_key(table, change).await };
        let Some(found) = self.locked(table, key).await? else {
            return Ok(Outcome::AlreadyThere);
        };
        if let Some(why) = against(&found, table, with) {
            return Ok(Outcome::conflict(why, Some(found)));
        }
        let sql = format!("DELETE FROM {} WHERE {}", table.quoted, by_key(key));
        let done = self.run(&sql).await;
        self.one(done)
    }

    /// Only what differs is set: a column that the server numbers itself may not be.
    async fn set(
        &mut self,
        table: &Table,
        key: &Columns,
        found: &Columns,
        new: &Columns,
    ) -> Result<Outcome, Fault> {
        let differs = |(name, value): &&(String, Value)| found.get(name) != Some(value);
        let changed = Columns(new.0.iter().filter(differs).cloned().collect());
        if changed.0.is_empty() {
            return Ok(Outcome::AlreadyThere);
        }
        let one = |(at, (name, _)): (usize, &(String, Value))| {
            format!("{} = ${}", escape_identifier(name), at + 1)
        };
        let list: Vec<_> = changed.0.iter().enumerate().map(one).collect();
        let (quoted, rows) = (&table.quoted, by_key(key));
        let sql = format!("UPDATE {quoted} SET {} WHERE {rows}", list.join(", "));
        let statement = self.session.client().prepare(&sql).await;
        let done = match statement {
            Ok(statement) => self.execute_once(&statement, &changed).await,
            Err(error) => Err(error),
        };
        self.one(done)
    }

    /// One of the rows that are as this one was, if the history holds it whole.
    async fn without_key(&mut self, table: &Table, change: &Change) -> Result<Outcome, Fault> {
        let Some(old) = &change.old else {
            return Ok(Outcome::conflict("its table has no key", None));
        };
        let (quoted, rows) = (&table.quoted, by_values(old, table));
        let one = format!("ctid = (SELECT ctid FROM {quoted} WHERE {rows} LIMIT 1)");
        let done = match &change.new {
            None => self.run(&format!("DELETE FROM {quoted} WHERE {one}")).await,
            Some(new) => {
                let settable = |(name, _): &(String, Value)| !table.always.contains(name);
                let mut new = writable(new, table);
                new.0.retain(settable);
                let place = |(at, (name, _)): (usize, &(String, Value))| {
                    format!("{} = ${}", escape_identifier(name), at + 1)
                };
                let list: Vec<_> = new.0.iter().enumerate().map(place).collect();
                let sql = format!("UPDATE {quoted} SET {} WHERE {one}", list.join(", "));
                match self.session.client().prepare(&sql).await {
                    Ok(statement) => self.execute_once(&statement, &new).await,
                    Err(error) => Err(error),
                }
            }
        };
        match done {
            Ok(0) => Ok(Outcome::conflict(
                "its table has no key, and no row of the active site is as it was before",
                None,
            )),
            done => self.one(done),
        }
    }

    async fn truncate(&mut self, table: &Table, overwrite: bool) -> Result<Outcome, Fault> {
        let any = format!("SELECT FROM {} LIMIT 1", table.quoted);
        if self.first(&any, &[]).await?.is_none() {
            return Ok(Outcome::AlreadyThere);
        }
        if !overwrite {
            let why = "it empties the table, and the active site has rows in it";
            return Ok(Outcome::conflict(why, None));
        }
        match self.run(&format!("TRUNCATE {}", table.quoted)).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => Ok(Outcome::conflict(self.refusal(&error)?, None)),
        }
    }

    /// The row with this key, which nobody else changes until the transaction ends.
    async fn locked(&self, table: &Table, key: &Columns) -> Result<Option<Columns>, Fault> {
        let names = &table.columns;
        let (quoted, rows) = (&table.quoted, by_key(key));
        let sql = format!("SELECT {} FROM {quoted} WHERE {rows} FOR UPDATE", list(names));
        self.first(&sql, names).await
    }

    async fn run(&self, sql: &str) -> Result<u64, Error> {
        self.session.client().execute(sql, &[]).await
    }

    fn one(&self, done: Result<u64, Error>) -> Result<Outcome, Fault> {
        match done {
            Ok(1) => Ok(Outcome::Done),
            Ok(_) => Ok(Outcome::conflict("the active site's own triggers left it undone", None)),
            Err(error) => Ok(Outcome::conflict(self.refusal(&error)?, None)),
        }
    }
}

/// What stands against changing this row; `None` when it is as the change found it.
fn against(found: &Columns, table: &Table, with: &With<'_>) -> Option<&'static str> {
    if with.overwrite {
        return None;
    }
    let Some(before) = with.before else { return Some(UNKNOWN) };
    let known = |name: &String| before.get(name).filter(|value| **value != Value::Unchanged);
    if table.writable.iter().any(|name| known(name).is_none()) {
        return Some(UNKNOWN);
    }
    let as_before = table.writable.iter().all(|name| known(name) == found.get(name));
    (!as_before).then_some(CHANGED)
}

/// Whether the row has these values.
fn same(found: &Columns, values: &Columns) -> bool {
    values.0.iter().all(|(name, value)| found.get(name) == Some(value))
}
