//! A salvage beside what the active site has now: transaction by transaction, row by row.

use super::decided::Decided;
use super::format::{Change, Columns, Header, Op, Value};
use super::read::{Event, Reader};
use super::states::{Book, State, Stated, is_note};
use super::target::{by_key, columns, fits};
use crate::postgres::catalog::{self, Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tokio_postgres::SimpleQueryMessage;

const DOING: &str = "read the rows that the salvage names";

/// Changes of one transaction that are shown. The others are counted.
pub const SHOWN: usize = 20;

/// Which transactions are shown.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub limit: u64,
    pub only_open: bool,
}

/// A transaction as people look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    #[serde(flatten)]
    pub transaction: Header,
    pub state: State,
    pub decided: Option<Decided>,
    /// All of its changes, also those that are not shown.
    pub total: u64,
    pub changes: Vec<SideChange>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideChange {
    #[serde(flatten)]
    pub change: Change,
    pub active: Active,
}

/// The active site's row by the key that the change left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Active {
    /// As the change left it, or gone as it left it.
    Same,
    /// Another in these columns.
    Differs {
        columns: Vec<String>,
        row: Columns,
    },
    Missing,
    /// There, although the change deleted it.
    StillThere {
        row: Columns,
    },
    /// It cannot be told, and why.
    Unknown {
        why: String,
    },
}

/// Reads the transactions that are wished for, one after the other.
pub struct Sides<'a> {
    states: super::states::States<'a>,
    body: Reader,
    rows: Rows,
    wish: Wish,
    given: u64,
}

impl<'a> Sides<'a> {
    pub async fn open(book: &'a Book<'a>, wish: Wish) -> Result<Self, Fault> {
        let rows = Rows::open(book.active).await?;
        Ok(Self { states: book.states().await?, body: book.read()?, rows, wish, given: 0 })
    }

    pub async fn next(&mut self) -> Result<Option<Side>, Fault> {
        while self.given < self.wish.limit {
            let Some(stated) = self.states.next().await? else { return Ok(None) };
            let wanted = !self.wish.only_open || stated.state == State::Open;
            let changes = self.changes(if wanted { SHOWN } else { 0 }).await?;
            if wanted {
                self.given += 1;
                return self.side(stated, changes).await.map(Some);
            }
        }
        Ok(None)
    }

    /// The next transaction's first changes; the others are passed over.
    async fn changes(&mut self, most: usize) -> Result<Vec<Change>, Fault> {
        let mut changes = Vec::new();
        while let Some(event) = self.body.next().await? {
            match event {
                Event::Change(change) if changes.len() < most => changes.push(change),
                Event::Begin(_) | Event::Change(_) => {}
                Event::Commit(_) => break,
            }
        }
        Ok(changes)
    }

    async fn side(&mut self, stated: Stated, changes: Vec<Change>) -> Result<Side, Fault> {
        let active = self.rows.beside(&changes).await?;
        let changes = changes.into_iter().zip(active);
        Ok(Side {
            transaction: stated.header,
            state: stated.state,
            decided: stated.decided,
            total: stated.changes,
            changes: changes.map(|(change, active)| SideChange { change, active }).collect(),
        })
    }
}

/// The active site's rows.
struct Rows {
    session: Session,
    tables: HashMap<String, Option<Table>>,
}

/// One row to look for.
struct Ask {
    sql: String,
    names: Vec<String>,
}

impl Rows {
    async fn open(active: &PostgresEndpoint) -> Result<Self, Fault> {
        Ok(Self { session: Session::open(active, "salvage").await?, tables: HashMap::new() })
    }

    /// All of them in one question.
    async fn beside(&mut self, changes: &[Change]) -> Result<Vec<Active>, Fault> {
        let mut asks = Vec::new();
        for change in changes {
            asks.push(self.ask(change).await?);
        }
        let mut found = self.read(asks.iter().flatten()).await?.into_iter();
        let one = |(change, ask): (&Change, &Result<Ask, String>)| match ask {
            Ok(_) => judge(change, found.next().flatten()),
            Err(why) => Active::Unknown { why: why.clone() },
        };
        Ok(changes.iter().zip(&asks).map(one).collect())
    }

    async fn ask(&mut self, change: &Change) -> Result<Result<Ask, String>, Fault> {
        if is_note(&change.table) {
            return Ok(Err("a note of Mainstay's own".to_owned()));
        }
        let key = match (change.op, change.new_key().or_else(|| change.key.clone())) {
            (Op::Truncate, _) => return Ok(Err("the whole table was emptied".to_owned())),
            (_, None) => return Ok(Err("the table has no key".to_owned())),
            (_, Some(key)) => key,
        };
        if !self.tables.contains_key(&change.table) {
            let found = catalog::table(&self.session, &change.table).await?;
            self.tables.insert(change.table.clone(), found);
        }
        let table = self.tables.get(&change.table).cloned().flatten();
        Ok(fits(table, change).map(|table| {
            let (names, quoted, rows) = (table.columns, table.quoted, by_key(&key));
            let sql = format!("SELECT {} FROM {quoted} WHERE {rows} LIMIT 1;", list(&names));
            Ask { sql, names }
        }))
    }

    /// Each statement's first row. The server ends each statement's rows with a word of its own.
    async fn read<'b>(
        &self,
        asks: impl Iterator<Item = &'b Ask>,
    ) -> Result<Vec<Option<Columns>>, Fault> {
        let asks: Vec<&Ask> = asks.collect();
        let sql: String = asks.iter().map(|ask| ask.sql.as_str()).collect();
        let answer = self.session.client().simple_query(&sql).await;
        let (mut all, mut row) = (Vec::new(), None);
        for message in answer.map_err(|e| self.session.fault(DOING, &e))? {
            match (message, asks.get(all.len())) {
                (SimpleQueryMessage::Row(found), Some(ask)) => {
                    row = Some(columns(&found, &ask.names));
                }
                (SimpleQueryMessage::CommandComplete(_), _) => all.push(row.take()),
                _ => {}
            }
        }
        Ok(all)
    }
}

fn judge(change: &Change, found: Option<Columns>) -> Active {
    match (change.op, found) {
        (Op::Delete, None) => Active::Same,
        (Op::Delete, Some(row)) => Active::StillThere { row },
        (_, None) => Active::Missing,
        (_, Some(row)) => {
            let columns = differing(change.new.as_ref(), &row);
            if columns.is_empty() { Active::Same } else { Active::Differs { columns, row } }
        }
    }
}

/// Columns of which both are known.
fn differing(salvaged: Option<&Columns>, row: &Columns) -> Vec<String> {
    let unlike = |(name, value): &&(String, Value)| {
        *value != Value::Unchanged && row.get(name).is_some_and(|there| there != value)
    };
    let columns = salvaged.into_iter().flat_map(|salvaged| &salvaged.0);
    columns.filter(unlike).map(|(name, _)| name.clone()).collect()
}
