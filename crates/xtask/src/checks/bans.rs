//! Dependencies that we do without: each with its reason and what to use instead.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

/// Not even as a dependency of a dependency.
const NOWHERE: [(&str, &str); 4] = [
    ("openssl-sys", "one TLS library in the binary, and none of the machine's: use rustls"),
    ("native-tls", "one TLS library in the binary: use rustls"),
    ("reqwest", "one HTTP client: use hyper (docs/decisions, 2026-11-21)"),
    ("chrono", "one library for dates: use jiff"),
];

/// Others may use them; we do not.
const NOT_OURS: [(&str, &str); 3] = [
    ("async-trait", "write async fn in traits; box the future where dyn is needed"),
    ("lazy_static", "use std::sync::LazyLock"),
    ("once_cell", "use std::sync::OnceLock or LazyLock"),
];

/// Everything comes from crates.io, with a checksum in the lock file.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub fn check(tree: &Tree) -> Vec<Problem> {
    let locks = tree.files("Cargo.lock", "").flat_map(|(path, text)| check_lock(path, text));
    let manifests = tree.files("", "Cargo.toml").flat_map(|(path, text)| check_ours(path, text));
    locks.chain(manifests).collect()
}

fn check_lock(path: &str, lock: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, content) in numbered(lock) {
        if let Some(name) = quoted(content, "name = ")
            && let Some((_, why)) = NOWHERE.iter().find(|(banned, _)| *banned == name)
        {
            problems.push(Problem::new(path, line, format!("{name}: {why}")));
        }
        if let Some(source) = quoted(content, "source = ").filter(|source| *source != REGISTRY) {
            problems.push(Problem::new(path, line, format!("{source}: only crates.io is used")));
        }
    }
    problems
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

fn check_ours(path: &str, manifest: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, content) in numbered(manifest) {
        let name = content.split(['.', ' ', '=']).next().unwrap_or_default();
        if let Some((_, why)) = NOT_OURS.iter().find(|(banned, _)| *banned == name) {
            problems.push(Problem::new(path, line, format!("{name}: {why}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_wherever_it_comes_from() {
        let tree =
            Tree::from([("Cargo.lock", "[[package]]\nname = \"reqwest\"\nversion = \"0.12\"")]);
        assert_eq!(check(&tree).iter().map(|problem| problem.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_crate_from_elsewhere_is_found() {
        let lock = format!("source = \"{REGISTRY}\"\nsource = \"git+https://example.org/x#1\"");
        let found = check(&Tree::from([("Cargo.lock", &*lock)]));
        assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_only_others_may_use_is_found_in_our_manifests() {
        let ours = ("crates/a/Cargo.toml", "[dependencies]\nasync-trait = \"0.1\"");
        let theirs = ("Cargo.lock", "name = \"async-trait\"");
        assert_eq!(check(&Tree::from([ours, theirs])).len(), 1);
    }
}
