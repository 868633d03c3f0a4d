//! Each error code that the program can show has a page, and each page belongs to such a code.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};
use std::collections::BTreeMap;

const PAGES: &str = "docs/errors/";

pub fn check(tree: &Tree) -> Vec<Problem> {
    let used = used(tree);
    let mut problems = Vec::new();
    for (code, (path, line)) in &used {
        let page = format!("{PAGES}{code}.md");
        if !tree.exists(&page) {
            problems.push(Problem::new(path, *line, format!("{code} has no page {page}")));
        }
    }
    for (page, _) in tree.files(PAGES, ".md").filter(|(page, _)| !page.ends_with("README.md")) {
        let code = page.trim_start_matches(PAGES).trim_end_matches(".md");
        if !used.contains_key(code) {
            problems.push(Problem::new(page, 0, format!("no crate uses {code}: delete the page")));
        }
    }
    problems
}

/// The codes in the crates' sources, each with the place where it stands first. Comments show
/// examples and tests make up codes, so they are left out.
fn used(tree: &Tree) -> BTreeMap<&str, (&str, usize)> {
    let mut used = BTreeMap::new();
    for (path, text) in tree.files("crates/", ".rs").filter(|(path, _)| path.contains("/src/")) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        for (line, content) in numbered(code).filter(|(_, content)| !is_comment(content)) {
            for code in codes(content) {
                used.entry(code).or_insert((path, line));
            }
        }
    }
    used
}

/// `MS-<AREA>-<NNN>`
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("MS-").filter_map(|(start, _)| code_at(&line[start..]))
}

fn code_at(text: &str) -> Option<&str> {
    let area = text["MS-".len()..].bytes().take_while(u8::is_ascii_uppercase).count();
    let end = "MS-".len() + area + "-000".len();
    let digits = text.get(end - 4..end)?.strip_prefix('-')?;
    let is_code = area > 0 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_code.then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    // Split, so that this file itself uses no code.
    const USE: &str = concat!("const X: &str = \"MS", "-PG-001\";");

    #[test]
    fn a_code_without_a_page_is_found() {
        let tree = Tree::from([("crates/a/src/x.rs", USE)]);
        let what = concat!("MS", "-PG-001 has no page docs/errors/MS", "-PG-001.md");
        assert_eq!(check(&tree), [Problem::new("crates/a/src/x.rs", 1, what)]);
    }

    #[test]
    fn a_page_without_a_code_is_found() {
        let pages =
            [concat!("docs/errors/MS", "-PG-001.md"), concat!("docs/errors/MS", "-PG-9.md")];
        let tree = Tree::from([("crates/a/src/x.rs", USE), (pages[0], ""), (pages[1], "")]);
        let found: Vec<String> = check(&tree).into_iter().map(|problem| problem.path).collect();
        assert_eq!(found, [pages[1]]);
    }

    #[test]
    fn what_only_looks_like_a_code_is_none() {
        assert_eq!(codes("MS-PG-0x1 MS--001 MS-PG MS-").count(), 0);
        assert_eq!(codes(concat!("(MS", "-COORD-012)")).next(), Some(concat!("MS", "-COORD-012")));
    }
}
