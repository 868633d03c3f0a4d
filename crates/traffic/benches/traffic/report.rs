//! The figures: a table for people, JSON for programs.

use super::progress;
use std::fmt;
use std::path::PathBuf;

pub struct Report {
    rows: Vec<Row>,
    json: Option<PathBuf>,
}

struct Row {
    what: String,
    who: String,
    value: f64,
    unit: &'static str,
    /// Of the gate's figure to this one's, where they are of the same work.
    beside: Option<f64>,
}

impl Report {
    pub fn new(json: Option<PathBuf>) -> Self {
        Self { rows: Vec::new(), json }
    }

    /// A figure of the gate alone.
    pub fn alone(&mut self, what: &str, value: f64, unit: &'static str) {
        let what = what.to_owned();
        self.add(Row { what, who: "gate".to_owned(), value, unit, beside: None });
    }

    /// The same figure of several; the gate's is the one that the others are beside.
    pub fn beside(&mut self, what: &str, figures: &[(&str, f64)], unit: &'static str) {
        let gate = figures.iter().find(|(who, _)| *who == "gate").map(|(_, value)| *value);
        for (who, value) in figures {
            let beside = gate.filter(|_| *who != "gate").map(|gate| gate / value);
            self.add(Row {
                what: what.to_owned(),
                who: (*who).to_owned(),
                value: *value,
                unit,
                beside,
            });
        }
    }

    fn add(&mut self, row: Row) {
        progress(&row.to_string());
        self.rows.push(row);
        let rows = self.rows.iter().map(|row| {
            serde_json::json!({
                "what": row.what,
                "who": row.who,
                "value": row.value,
                "unit": row.unit,
                "gate_to_this": row.beside,
            })
        });
        if let Some(path) = &self.json {
            let text = serde_json::Value::Array(rows.collect()).to_string();
            let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            if let Err(error) = written.and_then(|()| std::fs::write(path, text)) {
                progress(&format!("{}: {error}", path.display()));
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.value {
            v if v >= 100.0 => format!("{v:.0}"),
            v if v >= 10.0 => format!("{v:.1}"),
            v => format!("{v:.2}"),
        };
        let beside = self.beside.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        write!(f, "| {} | {} | {value} {} | {beside} |", self.what, self.who, self.unit)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| work | through | figure | gate's figure to this |")?;
        writeln!(f, "|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}
