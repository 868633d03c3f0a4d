//! The lab's bank is the application of somebody who has never heard of Mainstay: its code uses
//! nothing of ours, so what it experiences is what any application would.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

const BANK: &str = "crates/lab/src/bank";

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.files(BANK, ".rs") {
        for (line, code) in numbered(text).filter(|(_, line)| knows_us(line)) {
            let what = format!("the bank must not use anything of Mainstay: {}", code.trim());
            problems.push(Problem::new(path, line, what));
        }
    }
    problems
}

fn knows_us(line: &str) -> bool {
    let outside = line.split("crate::").skip(1).any(|path| !path.starts_with("bank"));
    let is_comment = line.trim_start().starts_with("//");
    !is_comment && (outside || line.contains("mainstay_") || line.contains("super::super"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_that_uses_mainstay_is_found() {
        for bad in ["use mainstay_core::Epoch;", "use crate::relay::Relay;", "crate::cut()"] {
            let tree = Tree::from([("crates/lab/src/bank/server.rs", bad)]);
            assert_eq!(check(&tree).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_bank_of_its_own_and_other_modules_are_left_alone() {
        let bank = "//! Knows nothing of mainstay_core.\nuse crate::bank::schema;\nuse axum::Json;";
        let tree = Tree::from([
            ("crates/lab/src/bank/server.rs", bank),
            ("crates/lab/src/relay.rs", "use mainstay_core::Epoch;"),
        ]);
        assert_eq!(check(&tree), []);
    }
}
