//! The keys of rows that a comparison found different: a file of JSON lines, which may be long.

use crate::postgres::compare::{Difference, Listener};
use crate::postgres::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufWriter, Write};

/// Keys as text, in the order of the key's columns, by `schema.table`.
pub(super) type Batch = BTreeMap<String, Vec<Vec<String>>>;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    table: std::borrow::Cow<'a, str>,
    key: std::borrow::Cow<'a, [String]>,
}

/// Listens to a comparison, and writes down the keys of what it finds.
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    tables: Option<Vec<String>>,
}

impl<W: Write> Writer<W> {
    /// Of these tables only, where some are named.
    pub fn new(out: W, tables: Option<Vec<String>>) -> Self {
        Self { out: BufWriter::new(out), tables }
    }

    pub fn finish(mut self) -> Result<(), Fault> {
        self.out.flush().map_err(Fault::DifferencesUnwritable)
    }
}

impl<W: Write + Send> Listener for Writer<W> {
    fn found(&mut self, table: &str, difference: &Difference) -> io::Result<()> {
        if self.tables.as_ref().is_some_and(|tables| !tables.iter().any(|one| one == table)) {
            return Ok(());
        }
        let line = Line { table: table.into(), key: difference.key.as_slice().into() };
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }
}

pub(super) struct Reader<R> {
    input: R,
    line: String,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R) -> Self {
        Self { input, line: String::new(), number: 0 }
    }

    /// As many keys as there are, at most `most`.
    pub fn next(&mut self, most: usize) -> Result<Batch, Fault> {
        let mut batch = Batch::new();
        for _ in 0..most {
            let Some(line) = self.one()? else { break };
            batch.entry(line.table.into_owned()).or_default().push(line.key.into_owned());
        }
        Ok(batch)
    }

    fn one(&mut self) -> Result<Option<Line<'static>>, Fault> {
        self.line.clear();
        self.number += 1;
        let (line, damaged) = (self.number, |line, why| Fault::RepairUnreadable { line, why });
        let read = self.input.read_line(&mut self.line);
        if read.map_err(|error| damaged(line, error.to_string()))? == 0 {
            return Ok(None);
        }
        let parsed = serde_json::from_str::<Line<'_>>(&self.line);
        let Line { table, key } = parsed.map_err(|error| damaged(line, error.to_string()))?;
        let (table, key) = (table.into_owned().into(), key.into_owned().into());
        Ok(Some(Line { table, key }))
    }
}
