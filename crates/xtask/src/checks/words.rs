//! Words that mean "unfinished" or "silenced".

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

/// Each with what to do instead. They are put together here so that this file does not hold them.
const BANNED: [(&str, &str); 7] = [
    (concat!("TO", "DO"), "finish it, or write an issue"),
    (concat!("FIX", "ME"), "mend it, or write an issue"),
    (concat!("to", "do!("), "write the code"),
    (concat!("unimple", "mented!("), "write the code, or return an error"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing: mend or delete it"),
    (concat!("#[al", "low("), "do what the lint says, or use #[expect] with a reason"),
    (concat!("#![al", "low("), "do what the lint says, or use #[expect] with a reason"),
];

pub fn check(tree: &Tree) -> Vec<Problem> {
    let endings = [".rs", ".sh", ".toml", ".md", ".html", "Makefile", ".ci/run"];
    let files = endings.iter().flat_map(|ending| tree.files("", ending));
    files.flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, content) in numbered(text) {
        for (word, advice) in BANNED.iter().filter(|(word, _)| content.contains(word)) {
            problems.push(Problem::new(path, line, format!("{word}: {advice}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_word_is_found() {
        for (word, _) in BANNED {
            let text = format!("fine\n// {word} later\n");
            let found = check(&Tree::from([("crates/a/src/x.rs", &*text)]));
            assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2], "{word}");
        }
    }

    #[test]
    fn ordinary_words_are_left_alone() {
        let tree = Tree::from([("docs/x.md", "what to do: ignore it, allow it")]);
        assert_eq!(check(&tree), []);
    }
}
