//! A path that a page names in backquotes exists, so that no map of the code grows stale.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

/// What begins so is meant as a path from the root.
const ROOTS: [&str; 5] = ["crates/", "docs/", "scripts/", ".ci/", ".config/"];

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (page, text) in tree.pages() {
        for (line, content) in numbered(text) {
            for path in named_paths(content).filter(|path| !tree.exists(path)) {
                problems.push(Problem::new(page, line, format!("`{path}` does not exist")));
            }
        }
    }
    problems
}

fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let in_backquotes = line.split('`').skip(1).step_by(2);
    let first_words = in_backquotes.filter_map(|code| code.split(' ').next());
    let is_path = |word: &&str| ROOTS.iter().any(|root| word.starts_with(root));
    // A pattern such as docs/errors/MS-*.md names no one file.
    first_words.filter(is_path).filter(|word| !word.contains(['*', '<']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_path_must_exist() {
        let page = "See `crates/core/src/epoch.rs`, `crates/core/`.\nAnd `crates/gone.rs`.";
        let tree = Tree::from([("crates/core/src/epoch.rs", ""), ("docs/map.md", page)]);
        assert_eq!(
            check(&tree),
            [Problem::new("docs/map.md", 2, "`crates/gone.rs` does not exist")]
        );
    }

    #[test]
    fn commands_and_patterns_are_no_paths() {
        let page = "`cargo build`, `scripts/parts.sh postgres`, `docs/errors/MS-*.md`";
        let tree = Tree::from([("scripts/parts.sh", ""), ("README.md", page)]);
        assert_eq!(check(&tree), []);
    }
}
