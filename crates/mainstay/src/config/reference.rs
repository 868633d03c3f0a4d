//! The reference of the file, written from the definitions in `typed`.

use super::reader::{Key, Need, Read, Shape};
use super::typed::File;
use std::fmt::Write;

const HEAD: &str = "# Configuration\n\n<!-- Written by `mainstay config reference`. Do not edit. -->\n\n\
    Everything that Mainstay looks after stands in one file, `mainstay.toml`, the same at every\n\
    site. `mainstay check FILE` tells all that is wrong with it at once. Secrets never stand in it:\n\
    `env:NAME` names an environment variable, `file:PATH` a file, and only sites that hold data\n\
    read them. Paths are relative to the file.\n";

/// The whole reference as Markdown.
pub fn markdown() -> String {
    let mut out = format!("{HEAD}\n## Example\n\n```toml\n{}```\n", include_str!("example.toml"));
    section(&mut out, "", &File::shape());
    out
}

fn section(out: &mut String, place: &str, shape: &Shape) {
    match shape {
        Shape::Table(table) => {
            let title = if place.is_empty() { "The file" } else { place };
            let _ = write!(out, "\n## {}\n\n{}\n", heading(title), paragraph(table.about));
            rows(out, &table.keys);
            for key in &table.keys {
                section(out, &join(place, &key.name), &key.shape);
            }
        }
        Shape::Names { placeholder, of } => section(out, &join(place, placeholder), of),
        Shape::List(of) => section(out, &format!("[{place}]"), of),
        Shape::Value(_) => {}
    }
}

fn rows(out: &mut String, keys: &[Key]) {
    out.push_str("\n| key | what to write | when left out | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            key.name,
            words(&key.shape),
            without(key.need),
            paragraph(key.about)
        );
    }
}

fn heading(place: &str) -> String {
    if place.contains(' ') { place.to_owned() } else { format!("`[{place}]`") }
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Value(words) => words.clone(),
        Shape::Table(_) => "a table, below".to_owned(),
        Shape::List(_) => "tables, below".to_owned(),
        Shape::Names { placeholder, of } => match of.as_ref() {
            Shape::Value(words) => format!("`{placeholder} = ...`: {words}"),
            _ => format!("a table for each `{placeholder}`, below"),
        },
    }
}

fn without(need: Need) -> String {
    match need {
        Need::Required => "an error".to_owned(),
        Need::Optional => "nothing".to_owned(),
        Need::Default(text) => format!("`{text}`"),
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Doc comments as one line.
fn paragraph(about: &str) -> String {
    about.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}
