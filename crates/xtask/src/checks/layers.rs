//! Crates depend only on crates of a lower layer; those that stand side by side do not know each
//! other; what is made for developers is not part of the product; and `core` stays pure.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

/// From the bottom to the top. `testkit` stands beside `wire`: it knows the nouns only.
const LAYERS: [&[&str]; 6] = [
    &["core"],
    &["wire", "testkit"],
    &["stores", "traffic", "alerts"],
    &["agent"],
    &["lab"],
    &["mainstay"],
];

/// For tests only: never among a crate's ordinary dependencies.
const FOR_TESTS: &str = "testkit";

/// All that `core` may use: nothing there does I/O, reads a clock or waits.
const PURE: [&str; 2] = ["serde", "thiserror"];

pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.files("crates/", "/Cargo.toml").flat_map(|(path, text)| check_crate(path, text)).collect()
}

fn check_crate(path: &str, manifest: &str) -> Vec<Problem> {
    let name = path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
    let dependencies = dependencies(manifest);
    let refused = dependencies.filter_map(|dependency| {
        refusal(name, &dependency).map(|why| Problem::new(path, dependency.line, why))
    });
    refused.collect()
}

struct Dependency<'a> {
    line: usize,
    name: &'a str,
    for_tests: bool,
}

/// Cargo's manifests are TOML; ours name one dependency a line, which is all that is read here.
fn dependencies(manifest: &str) -> impl Iterator<Item = Dependency<'_>> {
    let mut section = "";
    numbered(manifest).filter_map(move |(line, content)| {
        if content.starts_with('[') {
            section = content;
        }
        let for_tests = match section {
            "[dependencies]" => false,
            "[dev-dependencies]" => true,
            _ => return None,
        };
        let end = content.find(['.', ' ', '='])?;
        Some(Dependency { line, name: &content[..end], for_tests })
    })
}

fn refusal(from: &str, to: &Dependency<'_>) -> Option<String> {
    let Some(ours) = to.name.strip_prefix("mainstay-") else {
        let pure = from != "core" || to.for_tests || PURE.contains(&to.name);
        return (!pure).then(|| format!("core must stay pure, so it may not use {}", to.name));
    };
    if ours == FOR_TESTS {
        return (!to.for_tests).then(|| format!("{ours} is for [dev-dependencies] only"));
    }
    let Some(lower) = layer(ours) else {
        return Some(format!("{ours} stands in no layer; add it to {}", file!()));
    };
    // What stands in no layer itself (xtask) is above all.
    let is_down = layer(from).is_none_or(|upper| lower < upper);
    (!is_down).then(|| format!("{from} must not depend on {ours}: dependencies point down only"))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, manifest: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        check_crate(&path, manifest).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        let upwards = "[dependencies]\nmainstay-agent.workspace = true\n";
        assert_eq!(found("stores", upwards).len(), 1);
        assert_eq!(found("lab", upwards), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_sideways_is_found_also_in_tests() {
        let sideways = "[dev-dependencies]\nmainstay-traffic = { workspace = true }\n";
        assert_eq!(found("stores", sideways).len(), 1);
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        assert_eq!(found("agent", "[dependencies]\nmainstay-testkit.workspace = true").len(), 1);
        assert_eq!(
            found("agent", "[dev-dependencies]\nmainstay-testkit.workspace = true").len(),
            0
        );
    }

    #[test]
    fn core_may_not_wait_or_do_io() {
        assert_eq!(found("core", "[dependencies]\nserde.workspace = true\n").len(), 0);
        assert_eq!(found("core", "[dependencies]\ntokio = \"1\"\n").len(), 1);
    }

    #[test]
    fn a_crate_that_nobody_placed_is_found() {
        assert_eq!(found("agent", "[dependencies]\nmainstay-new.workspace = true\n").len(), 1);
    }
}
