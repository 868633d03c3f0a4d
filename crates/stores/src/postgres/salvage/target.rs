//! The active site's side of a replay.

use super::format::{Change, Columns, Header, Value};
use crate::postgres::catalog::{self, Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::{Session, reason};
use crate::postgres::text::{TextValue, as_text, literal};
use mainstay_core::estate::PostgresEndpoint;
use std::collections::HashMap;
use tokio_postgres::types::{PgLsn, ToSql};
use tokio_postgres::{Error, SimpleQueryMessage, Statement};

const DOING: &str = "replay the salvage";

/// What became of one row.
pub(super) enum Outcome {
    Inserted,
    /// With the same values.
    AlreadyThere,
    Conflict {
        why: String,
        found: Option<Columns>,
    },
}

pub(super) struct Target {
    session: Session,
    /// Tables as they are there; none where there is no such table.
    tables: HashMap<String, Option<Table>>,
    /// By their text: one for each table and list of columns.
    inserts: HashMap<String, Statement>,
}

impl Target {
    /// The application's own triggers run here, so they find what they would find in a session of
    /// the application: not the tables of the schema `mainstay`, which would come first for a
    /// user of that name.
    pub async fn open(active: &PostgresEndpoint) -> Result<Self, Fault> {
        let session = Session::open(active, "replay").await?;
        let sql = "RESET search_path; RESET row_security; SET statement_timeout = '60s'; \
                   SELECT pg_catalog.set_config('search_path', pg_catalog.replace( \
                       pg_catalog.current_setting('search_path'), '\"$user\", ', ''), false)";
        session.batch(DOING, sql).await?;
        Ok(Self { session, tables: HashMap::new(), inserts: HashMap::new() })
    }

    /// Begins a transaction and notes in it that it replays this one. False when that was done by
    /// an earlier replay.
    pub async fn begin(&self, header: &Header) -> Result<bool, Fault> {
        self.session.batch(DOING, "BEGIN").await?;
        let sql = "INSERT INTO mainstay.replayed (system, commit_lsn) VALUES ($1, $2) \
                   ON CONFLICT DO NOTHING";
        let lsn = PgLsn::from(header.commit_lsn.0);
        let first = self.session.execute(DOING, sql, &[&header.system, &lsn]).await? == 1;
        if !first {
            self.rollback().await?;
        }
        Ok(first)
    }

    pub async fn rollback(&self) -> Result<(), Fault> {
        self.session.batch(DOING, "ROLLBACK").await
    }

    /// Why the server refused, if it did.
    pub async fn commit(&self) -> Result<Option<String>, Fault> {
        match self.session.client().batch_execute("COMMIT").await {
            Ok(()) => Ok(None),
            Err(error) => self.refusal(&error).map(Some),
        }
    }

    pub async fn insert(&mut self, change: &Change) -> Result<Outcome, Fault> {
        let conflict = |why: &str| Ok(Outcome::Conflict { why: why.to_owned(), found: None });
        let Some(table) = self.table(&change.table).await? else {
            return conflict("the active site has no such table");
        };
        let Some(new) = change.new.as_ref().map(|new| writable(new, &table)) else {
            return conflict("the salvage does not hold the row");
        };
        if let Some((column, _)) = new.0.iter().find(|(column, _)| !table.columns.contains(column))
        {
            return conflict(&format!("the active site's table has no column {column}"));
        }
        match self.insert_row(&table, &new).await {
            Ok(1) => Ok(Outcome::Inserted),
            Ok(_) => self.there(&table, change, &new).await,
            Err(error) => {
                let why = self.refusal(&error)?;
                Ok(Outcome::Conflict { why, found: None })
            }
        }
    }

    async fn table(&mut self, name: &str) -> Result<Option<Table>, Fault> {
        if !self.tables.contains_key(name) {
            let found = catalog::table(&self.session, name).await?;
            self.tables.insert(name.to_owned(), found);
        }
        Ok(self.tables.get(name).cloned().flatten())
    }

    async fn insert_row(&mut self, table: &Table, new: &Columns) -> Result<u64, Error> {
        let names: Vec<String> = new.0.iter().map(|(name, _)| name.clone()).collect();
        let places: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING",
            table.quoted,
            list(&names),
            places.join(", ")
        );
        let statement = self.statement(sql).await?;
        let values: Vec<TextValue<'_>> = new.0.iter().map(|(_, value)| text(value)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
        self.session.client().execute(&statement, &params).await
    }

    async fn statement(&mut self, sql: String) -> Result<Statement, Error> {
        if let Some(statement) = self.inserts.get(&sql) {
            return Ok(statement.clone());
        }
        let statement = self.session.client().prepare(&sql).await?;
        self.inserts.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Some row stands in the way: the same one, or another.
    async fn there(&self, table: &Table, change: &Change, new: &Columns) -> Result<Outcome, Fault> {
        let found = match &change.key {
            Some(key) => self.find(table, key, new).await?,
            None => None,
        };
        Ok(match found {
            Some(found) if found == *new => Outcome::AlreadyThere,
            Some(found) => Outcome::Conflict {
                why: "the active site has a row with this key and other values".to_owned(),
                found: Some(found),
            },
            None => Outcome::Conflict {
                why: "another row of the active site has one of its unique values".to_owned(),
                found: None,
            },
        })
    }

    async fn find(
        &self,
        table: &Table,
        key: &Columns,
        like: &Columns,
    ) -> Result<Option<Columns>, Fault> {
        let names: Vec<String> = like.0.iter().map(|(name, _)| name.clone()).collect();
        let sql = format!("SELECT {} FROM {} WHERE {}", list(&names), table.quoted, condition(key));
        let answer = self.session.client().simple_query(&sql).await;
        let messages = answer.map_err(|e| self.session.fault(DOING, &e))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let value = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.into()));
        Ok(row.map(|row| {
            let values =
                names.iter().enumerate().map(|(at, name)| (name.clone(), value(row.get(at))));
            Columns(values.collect())
        }))
    }

    /// What the server says against this row, in words. What it says about itself or the moment
    /// (PostgreSQL manual, "Error Codes": connections, conflicts between transactions, resources,
    /// operators, system) is an error of the replay, to be tried again.
    fn refusal(&self, error: &Error) -> Result<String, Fault> {
        let passing = ["08", "25", "40", "53", "55", "57", "58", "XX"];
        let class = error.code().map(|code| &code.code()[..2]);
        match class {
            Some(class) if !passing.contains(&class) => Ok(reason(error)),
            _ => Err(self.session.fault(DOING, error)),
        }
    }
}

/// The row without the columns that the table computes itself.
fn writable(new: &Columns, table: &Table) -> Columns {
    let computed = |name: &String| table.columns.contains(name) && !table.writable.contains(name);
    Columns(new.0.iter().filter(|(name, _)| !computed(name)).cloned().collect())
}

fn text(value: &Value) -> TextValue<'_> {
    TextValue(as_text(value))
}

fn condition(key: &Columns) -> String {
    let one = |(name, value): &(String, Value)| {
        let name = postgres_protocol::escape::escape_identifier(name);
        format!("{name} = {}", literal(as_text(value)))
    };
    key.0.iter().map(one).collect::<Vec<_>>().join(" AND ")
}
