//! The active site's side of a replay.

use super::decided::{self, Verdict};
use super::format::{Change, Columns, Header, Value};
use crate::postgres::catalog::{self, Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::fence::number;
use crate::postgres::session::{FLUSH, Session, reason};
use crate::postgres::text::{TextValue, as_text, literal};
use mainstay_core::Epoch;
use mainstay_core::estate::PostgresEndpoint;
use std::collections::HashMap;
use tokio_postgres::types::{PgLsn, ToSql};
use tokio_postgres::{Error, Row, SimpleQueryMessage, Statement};

pub(super) const DOING: &str = "replay the salvage";

/// What became of one row.
pub(super) enum Outcome {
    Done,
    /// What the change would make is there already.
    AlreadyThere,
    Conflict {
        why: String,
        found: Option<Columns>,
    },
}

impl Outcome {
    pub fn conflict(why: impl Into<String>, found: Option<Columns>) -> Self {
        Outcome::Conflict { why: why.into(), found }
    }
}

/// Whether a transaction may be replayed.
pub(super) enum Begun {
    Yes { formerly_rejected: bool },
    Decided(Verdict),
}

pub(super) struct Target {
    pub session: Session,
    epoch: Epoch,
    /// Tables as they are there; none where there is no such table.
    tables: HashMap<String, Option<Table>>,
    /// By their text: one for each table and list of columns.
    statements: HashMap<String, Statement>,
}

impl Target {
    /// The application's own triggers run here, so they find what they would find in a session of
    /// the application: not the tables of the schema `mainstay`, which would come first for a
    /// user of that name. No commit waits for the disk; [`Target::make_durable`] does, for all.
    pub async fn open(active: &PostgresEndpoint, epoch: Epoch) -> Result<Self, Fault> {
        let session = Session::open(active, "replay").await?;
        let sql = "RESET search_path; RESET row_security; SET statement_timeout = '60s'; \
                   SET synchronous_commit = off; \
                   SELECT pg_catalog.set_config('search_path', pg_catalog.replace( \
                       pg_catalog.current_setting('search_path'), '\"$user\", ', ''), false)";
        session.batch(DOING, sql).await?;
        Ok(Self { session, epoch, tables: HashMap::new(), statements: HashMap::new() })
    }

    /// Begins a transaction and notes in it that it replays this one. What was rejected is replayed
    /// only where a person names it.
    pub async fn begin(
        &mut self,
        header: &Header,
        reason: &str,
        named: bool,
    ) -> Result<Begun, Fault> {
        const NEW: &str = "INSERT INTO mainstay.decided (system, commit_lsn, decision, reason) \
                           VALUES ($1, $2, 'replayed', $3) ON CONFLICT DO NOTHING";
        const AFTER_ALL: &str = "UPDATE mainstay.decided \
             SET decision = 'replayed', at = now(), reason = $3 \
             WHERE system = $1 AND commit_lsn = $2 AND decision = 'rejected'";
        let lsn = PgLsn::from(header.commit_lsn.0);
        let params: [&(dyn ToSql + Sync); 3] = [&header.system, &lsn, &reason];
        let new = self.prepared(NEW).await?;
        // Both on their way before the first is answered.
        let begin = self.session.batch(DOING, "BEGIN");
        let ((), noted) = tokio::try_join!(biased; begin, self.note(&new, &params))?;
        if noted {
            return Ok(Begun::Yes { formerly_rejected: false });
        }
        if named {
            let after_all = self.prepared(AFTER_ALL).await?;
            if self.note(&after_all, &params).await? {
                return Ok(Begun::Yes { formerly_rejected: true });
            }
        }
        let decided = decided::of(&self.session, header).await?;
        self.rollback().await?;
        Ok(Begun::Decided(decided.map_or(Verdict::Replayed, |decided| decided.verdict)))
    }

    /// Whether the statement wrote a row.
    async fn note(
        &self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, Fault> {
        let noted = self.session.client().execute(statement, params).await;
        noted.map(|rows| rows == 1).map_err(|error| self.session.fault(DOING, &error))
    }

    async fn prepared(&mut self, sql: &str) -> Result<Statement, Fault> {
        let statement = self.statement(sql.to_owned()).await;
        statement.map_err(|error| self.session.fault(DOING, &error))
    }

    pub async fn rollback(&self) -> Result<(), Fault> {
        self.session.batch(DOING, "ROLLBACK").await
    }

    /// Why the server refused, if it did. Deferred constraints speak first, so that the lock that
    /// keeps a fence waiting is held only for the commit itself.
    pub async fn commit(&mut self) -> Result<Option<String>, Fault> {
        const CONSTRAINTS: &str = "SET CONSTRAINTS ALL IMMEDIATE";
        let (open, epoch) = (self.prepared(OPEN).await?, number(self.epoch));
        // Both on their way before the first is answered; after a refusal the second says nothing.
        let (client, epoch): (_, [&(dyn ToSql + Sync); 1]) = (self.session.client(), [&epoch]);
        let (allowed, open) = tokio::join!(biased;
            client.batch_execute(CONSTRAINTS), client.query_opt(&open, &epoch));
        if let Err(error) = allowed {
            let why = self.refusal(&error)?;
            self.rollback().await?;
            return Ok(Some(why));
        }
        must_be(open.map_err(|error| self.session.fault(DOING, &error))?, &self.session)?;
        match self.session.client().batch_execute("COMMIT").await {
            Ok(()) => Ok(None),
            Err(error) => self.refusal(&error).map(Some),
        }
    }

    /// Returns when all that was committed here is on disk. A server that crashes before has lost
    /// the last transactions together with the notes that they were replayed: they are open again.
    pub async fn make_durable(&self) -> Result<(), Fault> {
        let sql = format!("BEGIN; SET LOCAL synchronous_commit = local; {FLUSH}; COMMIT");
        self.session.batch(DOING, &sql).await
    }

    pub async fn table(&mut self, name: &str) -> Result<Option<Table>, Fault> {
        if !self.tables.contains_key(name) {
            let found = catalog::table(&self.session, name).await?;
            self.tables.insert(name.to_owned(), found);
        }
        Ok(self.tables.get(name).cloned().flatten())
    }

    /// Inserts the row, unless another one with a unique value of it is there.
    pub async fn insert_row(&mut self, table: &Table, row: &Columns) -> Result<u64, Error> {
        let names: Vec<String> = row.0.iter().map(|(name, _)| name.clone()).collect();
        let places: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING",
            table.quoted,
            list(&names),
            places.join(", ")
        );
        self.execute(sql, row).await
    }

    /// Runs a statement whose parameters are the columns' values.
    async fn execute(&mut self, sql: String, values: &Columns) -> Result<u64, Error> {
        let statement = self.statement(sql).await?;
        self.execute_once(&statement, values).await
    }

    pub async fn execute_once(
        &self,
        statement: &Statement,
        values: &Columns,
    ) -> Result<u64, Error> {
        let values: Vec<TextValue<'_>> =
            values.0.iter().map(|(_, value)| TextValue(as_text(value))).collect();
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
        self.session.client().execute(statement, &params).await
    }

    async fn statement(&mut self, sql: String) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(&sql) {
            return Ok(statement.clone());
        }
        let statement = self.session.client().prepare(&sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// The first row that the statement gives, by these columns.
    pub async fn first(&self, sql: &str, names: &[String]) -> Result<Option<Columns>, Fault> {
        let answer = self.session.client().simple_query(sql).await;
        let messages = answer.map_err(|e| self.session.fault(DOING, &e))?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(columns(row, names)),
            _ => None,
        }))
    }

    /// What the server says against this row, in words. What it says about itself or the moment
    /// (PostgreSQL manual, "Error Codes": connections, conflicts between transactions, resources,
    /// operators, system) is an error of the replay, to be tried again.
    pub fn refusal(&self, error: &Error) -> Result<String, Fault> {
        let passing = ["08", "25", "40", "53", "55", "57", "58", "XX"];
        let class = error.code().map(|code| &code.code()[..2]);
        match class {
            Some(class) if !passing.contains(&class) => Ok(reason(error)),
            _ => Err(self.session.fault(DOING, error)),
        }
    }
}

/// In a transaction: the site is open under this epoch, and stays so until the transaction ends. A
/// fence that comes meanwhile waits for its end, and one that came before is seen.
const OPEN: &str = "SELECT FROM mainstay.site WHERE open AND epoch = $1 \
     AND opened_postmaster = pg_catalog.pg_postmaster_start_time() FOR SHARE";

pub(super) async fn must_be_open(session: &Session, epoch: Epoch) -> Result<(), Fault> {
    must_be(session.maybe_row(DOING, OPEN, &[&number(epoch)]).await?, session)
}

fn must_be(open: Option<Row>, session: &Session) -> Result<(), Fault> {
    match open {
        Some(_) => Ok(()),
        None => Err(Fault::NotOpen { place: session.place().to_owned() }),
    }
}

/// A row as the server's own text.
pub(super) fn columns(row: &tokio_postgres::SimpleQueryRow, names: &[String]) -> Columns {
    let value = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.into()));
    let values = names.iter().enumerate().map(|(at, name)| (name.clone(), value(row.get(at))));
    Columns(values.collect())
}

/// What a statement may write of the row: known, and not computed by the table itself.
pub(super) fn writable(row: &Columns, table: &Table) -> Columns {
    let computed = |name: &String| table.columns.contains(name) && !table.writable.contains(name);
    let wanted = |(name, value): &&(String, Value)| *value != Value::Unchanged && !computed(name);
    Columns(row.0.iter().filter(wanted).cloned().collect())
}

/// Rows with this key.
pub(super) fn by_key(key: &Columns) -> String {
    let one = |(name, value): &(String, Value)| {
        let name = postgres_protocol::escape::escape_identifier(name);
        format!("{name} = {}", literal(as_text(value)))
    };
    key.0.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

/// Rows with these values, for tables that have no key. Not every type can be compared, but every
/// one can be written.
pub(super) fn by_values(row: &Columns, table: &Table) -> String {
    let one = |(name, value): &(String, Value)| {
        let name = postgres_protocol::escape::escape_identifier(name);
        match as_text(value) {
            None => format!("{name} IS NULL"),
            Some(text) => format!("pg_catalog.format('%s', {name}) = {}", literal(Some(text))),
        }
    };
    let row = writable(row, table);
    match row.0.is_empty() {
        true => "true".to_owned(),
        false => row.0.iter().map(one).collect::<Vec<_>>().join(" AND "),
    }
}

/// The table, when it has all columns that the change names; or why not.
pub(super) fn fits(table: Option<Table>, change: &Change) -> Result<Table, String> {
    let table = table.ok_or("the active site has no such table")?;
    let rows = [&change.key, &change.old, &change.new];
    let mut names = rows.into_iter().flatten().flat_map(|row| row.0.iter().map(|(name, _)| name));
    match names.find(|name| !table.columns.contains(name)) {
        Some(column) => Err(format!("the active site's table has no column {column}")),
        None => Ok(table),
    }
}
