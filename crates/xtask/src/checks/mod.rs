//! One check a file: `check(&Tree) -> Vec<Problem>`, and a test that it can fail.

mod bank;
mod bans;
mod error_codes;
mod layers;
mod links;
mod paths;
mod size;
mod words;

use crate::problem::Problem;
use crate::tree::Tree;

pub fn all(tree: &Tree) -> Vec<Problem> {
    [
        paths::check,
        links::check,
        error_codes::check,
        layers::check,
        bank::check,
        bans::check,
        size::check,
        words::check,
    ]
    .iter()
    .flat_map(|check| check(tree))
    .collect()
}
