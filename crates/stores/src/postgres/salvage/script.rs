//! A salvage as SQL that a person can read and run at the active site with `psql`.

use super::format::{Change, Columns, Op, Value};
use super::read::{Event, Reader};
use super::states::{Book, State, Stated, States, is_note};
use super::target::{by_key, by_values, fits, writable};
use crate::postgres::catalog::{self, Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use crate::postgres::text::{as_text, literal};
use postgres_protocol::escape::escape_identifier;
use std::collections::HashMap;

/// A piece of the script has at least this much, but for the last.
const PIECE: usize = 64 << 10;

const HEAD: &str = "\
-- Salvaged transactions, in the order of their commits, for psql at the active site.
-- It stops at the first statement that fails, within the transaction, which is rolled back.
-- Nothing of it looks whether the active site changed a row since, and Mainstay does not know what
-- was run by hand: `mainstay salvage reject ID --transaction LSN --reason ...` notes it.
\\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET TimeZone = 'UTC';
";

/// Writes the script piece by piece.
pub struct Script<'a> {
    states: States<'a>,
    body: Reader,
    tables: Tables,
    only_open: bool,
    /// The transaction that is being written; none between two, or while one is passed over.
    current: bool,
    begun: bool,
}

impl<'a> Script<'a> {
    /// `only_open`: without transactions that were decided or are kept by rule.
    pub async fn open(book: &'a Book<'a>, only_open: bool) -> Result<Self, Fault> {
        let session = Session::open(book.active, "salvage").await?;
        let tables = Tables { session, known: HashMap::new() };
        let (states, body) = (book.states().await?, book.read()?);
        Ok(Self { states, body, tables, only_open, current: false, begun: false })
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<String>, Fault> {
        let mut text = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            text.push_str(HEAD);
        }
        while text.len() < PIECE {
            match self.body.next().await? {
                None => return Ok(Some(text).filter(|text| !text.is_empty())),
                Some(Event::Begin(_)) => self.begin(&mut text).await?,
                Some(Event::Change(change)) if self.current && !is_note(&change.table) => {
                    let table = self.tables.get(&change.table).await?;
                    text.push_str(&statement(&change, table));
                }
                Some(Event::Change(_)) => {}
                Some(Event::Commit(_)) if self.current => text.push_str("COMMIT;\n"),
                Some(Event::Commit(_)) => {}
            }
        }
        Ok(Some(text))
    }

    async fn begin(&mut self, text: &mut String) -> Result<(), Fault> {
        let Some(Stated { header, state, .. }) = self.states.next().await? else {
            return Ok(());
        };
        self.current = !self.only_open || state == State::Open;
        if self.current {
            let (lsn, at) = (header.commit_lsn, moment(header.commit_micros));
            text.push_str(&format!("\n-- {lsn}, committed {at}, {}\nBEGIN;\n", state.name()));
        }
        Ok(())
    }
}

/// UTC; nothing else in this crate writes times for people.
fn moment(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(at) => at.to_string(),
        Err(_) => format!("{micros} microseconds after 1970"),
    }
}

struct Tables {
    session: Session,
    known: HashMap<String, Option<Table>>,
}

impl Tables {
    async fn get(&mut self, name: &str) -> Result<Option<Table>, Fault> {
        if !self.known.contains_key(name) {
            let found = catalog::table(&self.session, name).await?;
            self.known.insert(name.to_owned(), found);
        }
        Ok(self.known.get(name).cloned().flatten())
    }
}

/// A change that cannot be written fails when it is run, so that nobody takes the rest for the
/// whole.
fn statement(change: &Change, table: Option<Table>) -> String {
    let written = fits(table, change).and_then(|table| match change.op {
        Op::Insert => insert(change, &table),
        Op::Update => update(change, &table),
        Op::Delete => delete(change, &table),
        Op::Truncate => Ok(format!("TRUNCATE {}", table.quoted)),
    });
    match written {
        Ok(sql) => format!("{sql};\n"),
        Err(why) => {
            let why = literal(Some(&format!("{}: {why}", change.table)));
            format!("DO LANGUAGE plpgsql {};\n", literal(Some(&raise(&why))))
        }
    }
}

fn raise(why: &str) -> String {
    format!("BEGIN RAISE EXCEPTION USING MESSAGE = {why}; END")
}

fn insert(change: &Change, table: &Table) -> Result<String, String> {
    let new = change.new.as_ref().ok_or("the salvage does not hold the row")?;
    let row = writable(new, table);
    let names: Vec<String> = row.0.iter().map(|(name, _)| name.clone()).collect();
    let values: Vec<String> = row.0.iter().map(|(_, value)| literal(as_text(value))).collect();
    let (quoted, names) = (&table.quoted, list(&names));
    if values.is_empty() {
        return Ok(format!("INSERT INTO {quoted} DEFAULT VALUES"));
    }
    let over = if table.always.is_empty() { "" } else { " OVERRIDING SYSTEM VALUE" };
    Ok(format!("INSERT INTO {quoted} ({names}){over} VALUES ({})", values.join(", ")))
}

fn update(change: &Change, table: &Table) -> Result<String, String> {
    let new = change.new.as_ref().ok_or("the salvage does not hold the row")?;
    let known = writable(new, table);
    let same_key = |(name, value): &(String, Value)| {
        change.key.as_ref().and_then(|key| key.get(name)) == Some(value)
    };
    let settable =
        |column: &&(String, Value)| !table.always.contains(&column.0) && !same_key(column);
    let set: Vec<String> = known
        .0
        .iter()
        .filter(settable)
        .map(|(name, value)| format!("{} = {}", escape_identifier(name), literal(as_text(value))))
        .collect();
    let unchanged: Vec<String> = new
        .0
        .iter()
        .filter(|(_, value)| *value == Value::Unchanged)
        .map(|(name, _)| escape_identifier(name))
        .collect();
    let note = match unchanged.is_empty() {
        true => String::new(),
        false => format!("-- left as it is: {}\n", one_line(&unchanged.join(", "))),
    };
    if set.is_empty() {
        return Ok(format!("{note}SELECT"));
    }
    let (quoted, rows) = (&table.quoted, rows(change, table)?);
    Ok(format!("{note}UPDATE {quoted} SET {} WHERE {rows}", set.join(", ")))
}

fn delete(change: &Change, table: &Table) -> Result<String, String> {
    Ok(format!("DELETE FROM {} WHERE {}", table.quoted, rows(change, table)?))
}

/// The row by its key, or one of those that are as it was.
fn rows(change: &Change, table: &Table) -> Result<String, String> {
    let by_old = |old: &Columns| {
        let (quoted, rows) = (&table.quoted, by_values(old, table));
        format!("ctid = (SELECT ctid FROM {quoted} WHERE {rows} LIMIT 1)")
    };
    match (&change.key, &change.old) {
        (Some(key), _) => Ok(by_key(key)),
        (None, Some(old)) => Ok(by_old(old)),
        (None, None) => Err("the table has no key".to_owned()),
    }
}

/// A name may hold a line's end, and what follows it would be run.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\u{2028}' { ' ' } else { c }).collect()
}
