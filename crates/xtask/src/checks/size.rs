//! Where a file passes 600 lines, something in it wants its own name.

use crate::problem::Problem;
use crate::tree::Tree;

const MOST: usize = 600;

pub fn check(tree: &Tree) -> Vec<Problem> {
    let endings = [".rs", ".sh", ".html", ".css", ".js", ".sql"];
    let files = endings.iter().flat_map(|ending| tree.files("", ending));
    let sizes = files.map(|(path, text)| (path, text.lines().count()));
    let large = sizes.filter(|(_, lines)| *lines > MOST);
    large
        .map(|(path, lines)| Problem::new(path, 0, format!("{lines} lines, more than {MOST}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_past_the_bound_is_found() {
        let (fits, large) = ("\n".repeat(MOST), "\n".repeat(MOST + 1));
        let tree =
            Tree::from([("crates/a/src/fits.rs", &*fits), ("crates/a/src/large.rs", &large)]);
        let found = check(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/a/src/large.rs");
    }
}
