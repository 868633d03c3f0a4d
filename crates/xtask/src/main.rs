//! `cargo xtask verify`: what holds in this repository and no compiler checks. It reads only.

mod checks;
mod problem;
mod tree;

use problem::Problem;
use std::path::Path;
use std::process::ExitCode;
use tree::Tree;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("verify") => verify(),
        _ => {
            eprintln!("usage: cargo xtask verify");
            ExitCode::from(2)
        }
    }
}

fn verify() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = match Tree::read(&root) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("verify: cannot read {}: {error}", root.display());
            return ExitCode::FAILURE;
        }
    };
    report(&checks::all(&tree), tree.len())
}

fn report(problems: &[Problem], files: usize) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    if problems.is_empty() {
        println!("verify: {files} files, nothing found");
        return ExitCode::SUCCESS;
    }
    eprintln!("verify: {} found", problems.len());
    ExitCode::FAILURE
}
