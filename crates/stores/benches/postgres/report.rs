//! The figures: a table for people, JSON for programs.

use super::{Outcome, progress};
use serde_json::json;
use std::fmt;
use std::path::PathBuf;

pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    json: Option<PathBuf>,
}

struct Row {
    work: String,
    durable: bool,
    native: f64,
    mainstay: f64,
    unit: &'static str,
    /// How many times better Mainstay is.
    ratio: f64,
}

impl Report {
    /// The file is written anew now and with each figure: a run that is cut off leaves what it
    /// had, and nothing of the run before.
    pub fn to_file(json: Option<PathBuf>) -> Outcome<Self> {
        let report = Self { rows: Vec::new(), notes: Vec::new(), json };
        report.save()?;
        Ok(report)
    }

    /// More is better.
    pub fn rate(
        &mut self,
        work: &str,
        durable: bool,
        [native, mainstay]: [f64; 2],
        unit: &'static str,
    ) -> Outcome<()> {
        self.add(work, durable, [native, mainstay], unit, mainstay / native)
    }

    /// Less is better.
    pub fn cost(
        &mut self,
        work: &str,
        durable: bool,
        [native, mainstay]: [f64; 2],
        unit: &'static str,
    ) -> Outcome<()> {
        self.add(work, durable, [native, mainstay], unit, native / mainstay)
    }

    fn add(
        &mut self,
        work: &str,
        durable: bool,
        [native, mainstay]: [f64; 2],
        unit: &'static str,
        ratio: f64,
    ) -> Outcome<()> {
        let row = Row { work: work.to_owned(), durable, native, mainstay, unit, ratio };
        progress(&row.to_string());
        self.rows.push(row);
        self.save()
    }

    pub fn note(&mut self, note: String) {
        progress(&note);
        self.notes.push(note);
    }

    fn save(&self) -> Outcome<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let row = |row: &Row| {
            json!({
                "work": row.work,
                "durable": row.durable,
                "native": row.native,
                "mainstay": row.mainstay,
                "unit": row.unit,
                "ratio": row.ratio,
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")?)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.durable { "on" } else { "off" };
        let (native, mainstay) = (shown(self.native), shown(self.mainstay));
        write!(
            f,
            "{:<52} {durable:<4} {native:>10} {mainstay:>10} {:<7} {:>6.2}",
            self.work, self.unit, self.ratio
        )
    }
}

/// Three figures that mean something.
fn shown(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "sync: synchronous_commit at both targets. ratio: how many times better Mainstay is."
        )?;
        writeln!(
            f,
            "\n{:<52} {:<4} {:>10} {:>10} {:<7} {:>6}",
            "work", "sync", "native", "mainstay", "unit", "ratio"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}
