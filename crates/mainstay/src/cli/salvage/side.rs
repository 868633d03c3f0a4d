//! A salvaged row and the active site's, side by side, in a terminal of 100 columns.

use super::super::output::{CARE, styled};
use mainstay_stores::postgres::salvage::{Active, Change, Columns, Value};
use unicode_width::UnicodeWidthStr;

const WIDTH: usize = 100;
const NAME: usize = 22;
const VALUE: usize = 35;

/// Columns of a row that are shown. Those that differ come first when there are more.
const SHOWN: usize = 40;

/// One change: on one line where nothing differs.
pub fn change(op: &str, change: &Change, active: &Active) -> String {
    let table = shown(&change.table, 40);
    let head = |says: &str| {
        let row = change.new.as_ref().or(change.old.as_ref()).or(change.key.as_ref());
        let start = shown(&format!("  {op:<8} {table} {says}"), WIDTH);
        let room = WIDTH.saturating_sub(start.width() + 1);
        let row = row.map_or_else(String::new, |row| format!(" {}", one_line(row, room)));
        format!("{start}{row}\n")
    };
    let salvaged = change.new.as_ref();
    match active {
        Active::Same => head("[same at the active site]"),
        Active::Missing => head("[no such row at the active site]"),
        Active::Unknown { why } => head(&format!("[cannot be told: {}]", shown(why, 40))),
        Active::StillThere { row } => {
            format!("  {op:<8} {table} [still at the active site]\n{}", rows(None, row, &[]))
        }
        Active::Differs { columns, row } => {
            let says = "[the active site's row differs]";
            format!("  {op:<8} {table} {says}\n{}", rows(salvaged, row, columns))
        }
    }
}

/// Both rows, column by column; those in `marked` differ.
pub fn rows(salvaged: Option<&Columns>, active: &Columns, marked: &[String]) -> String {
    let is_marked = |name: &String| marked.contains(name);
    let mut names: Vec<&String> = active.0.iter().map(|(name, _)| name).collect();
    let mut left_out = String::new();
    if names.len() > SHOWN {
        names.sort_by_key(|name| !is_marked(name));
        left_out = format!("    {} more columns\n", names.len() - SHOWN);
        names.truncate(SHOWN);
    }
    let line = |name: &String| {
        let left = match salvaged {
            None => "(deleted)".to_owned(),
            Some(row) => row.get(name).map_or_else(|| "-".to_owned(), value),
        };
        let right = active.get(name).map_or_else(|| "-".to_owned(), value);
        let mark = if is_marked(name) { "*" } else { " " };
        let (name, left) = (padded(&shown(name, NAME), NAME), padded(&left, VALUE));
        let line = format!("  {mark} {name} {left} {right}").trim_end().to_owned();
        if mark == "*" { styled(CARE, line) + "\n" } else { line + "\n" }
    };
    let head = format!("    {:<NAME$} {:<VALUE$} {}\n", "column", "salvaged", "active site");
    let lines: String = names.into_iter().map(line).collect();
    format!("{head}{lines}{left_out}")
}

/// Columns with values that both rows have and that are unlike.
pub fn differing(salvaged: &Columns, active: &Columns) -> Vec<String> {
    let unlike = |(name, value): &&(String, Value)| {
        *value != Value::Unchanged && active.get(name).is_some_and(|there| there != value)
    };
    salvaged.0.iter().filter(unlike).map(|(name, _)| name.clone()).collect()
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Unchanged => "(unchanged)".to_owned(),
        Value::Text(text) => shown(text, VALUE),
    }
}

pub fn one_line(row: &Columns, width: usize) -> String {
    let one = |(name, value): &(String, Value)| {
        let value = match value {
            Value::Null => "NULL".to_owned(),
            Value::Unchanged => "(unchanged)".to_owned(),
            Value::Text(text) => shown(text, width),
        };
        format!("{}={value}", shown(name, width))
    };
    // No more columns than can be seen.
    let row: Vec<String> = row.0.iter().take(width).map(one).collect();
    shown(&row.join(" "), width)
}

/// Text of others: no control character reaches the terminal, and no more than so many columns.
pub fn shown(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let piece = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        used += piece.width();
        if used > width {
            return cut(out, width);
        }
        out.push_str(&piece);
    }
    out
}

/// With a sign that there was more.
fn cut(mut text: String, width: usize) -> String {
    while text.width() + 1 > width && text.pop().is_some() {}
    text + "…"
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> Columns {
        let one =
            |(name, text): &(&str, &str)| ((*name).to_owned(), Value::Text((*text).to_owned()));
        Columns(columns.iter().map(one).collect())
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_whatever_is_in_the_row() {
        let wide = "w\u{501f}".repeat(300) + "\u{1b}[31m\n";
        let columns: Vec<(String, String)> =
            (0..60).map(|at| (format!("{at} {wide}"), wide.clone())).collect();
        let columns: Vec<(&str, &str)> =
            columns.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (salvaged, active) = (row(&columns), row(&columns));
        let text = rows(Some(&salvaged), &active, &[]);
        assert_eq!(text.lines().count(), 1 + SHOWN + 1);
        assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn text_is_cut_where_it_would_not_fit_and_says_so() {
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown("abcd", 3), "ab…");
        assert_eq!(shown("a\nb", 4), "a\\nb");
        assert_eq!(shown("\u{501f}\u{91d1}", 3), "\u{501f}…");
    }
}
