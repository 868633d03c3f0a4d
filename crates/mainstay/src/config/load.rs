//! From the text of a file to an estate, or to everything that is wrong with it.

use super::problem::{Problem, code};
use super::reader::{Read, Reader};
use super::typed::File;
use super::{mask, resolve, rules, secrets};
use mainstay_core::SiteName;
use mainstay_core::estate::Estate;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a file, and how errors may show it.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Secrets covered.
    pub shown: String,
}

/// For whom the file is read.
pub struct Options<'a> {
    /// The site to resolve for; without one the file is read as a site that holds data reads it.
    pub site: Option<&'a SiteName>,
    pub look: Look,
    /// The environment, by name.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// How far to look beyond the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The text alone.
    Nowhere,
    /// Certificates; no secrets. A gate needs no password of a database.
    Certificates,
    Everywhere,
}

pub struct Checked {
    pub source: Source,
    /// Errors first, each group in the order of the file.
    pub problems: Vec<Problem>,
    /// Some exactly when no problem is an error.
    pub estate: Option<Estate>,
}

impl Checked {
    pub fn ok(&self) -> bool {
        !self.problems.iter().any(Problem::is_error)
    }
}

/// Reads and checks one file. Touches nothing but files that it names.
pub fn check(path: &Path, options: &Options<'_>) -> Checked {
    match std::fs::read_to_string(path) {
        Ok(text) => check_text(path, text, options),
        Err(error) => unreadable(path, &error),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Checked {
    let what = format!("cannot read {}: {}", path.display(), secrets::reason(error));
    let advice = "name the file with --config, or see `mainstay config reference` for what stands \
                  in one";
    let source = Source { path: path.to_owned(), text: String::new(), shown: String::new() };
    Checked { source, problems: vec![Problem::error(code::UNREADABLE, what, advice)], estate: None }
}

fn check_text(path: &Path, text: String, options: &Options<'_>) -> Checked {
    let (tree, errors) = DeTable::parse_recoverable(&text);
    let shown = mask::mask(&text, tree.get_ref());
    let (mut problems, estate) = if errors.is_empty() {
        check_tree(path, tree, options)
    } else {
        (errors.iter().map(not_toml).collect(), None)
    };
    problems.sort_by_key(|p| (!p.is_error(), p.span.as_ref().map_or(usize::MAX, |s| s.start)));
    let source = Source { path: path.to_owned(), text, shown };
    Checked { source, problems, estate }
}

fn not_toml(error: &toml::de::Error) -> Problem {
    let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
    let advice = "strings stand in quotes, tables in [brackets], each key once (https://toml.io)";
    Problem::error(code::NOT_TOML, message, advice).span(error.span())
}

fn check_tree(
    path: &Path,
    tree: Spanned<DeTable<'_>>,
    options: &Options<'_>,
) -> (Vec<Problem>, Option<Estate>) {
    let span = tree.span();
    let root = Spanned::new(span, DeValue::Table(tree.into_inner()));
    let mut reader = Reader::default();
    let file = File::read(&root, &mut reader);
    let mut problems = reader.problems;
    let Some(file) = file.filter(|_| !reader.names_refused) else { return (problems, None) };
    rules::all(&file, &mut problems);
    let base = path.parent().unwrap_or(Path::new(""));
    let vault = secrets::Vault { base, env: options.env, look: options.look };
    let estate = resolve::resolve(&file, options.site, &vault, &mut problems);
    let sound = !problems.iter().any(Problem::is_error);
    (problems, estate.filter(|_| sound))
}
