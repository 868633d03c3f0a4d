//! `cargo xtask verify`: what holds in this repository and no compiler checks. It reads only.
//! `cargo xtask mutants`: the decision without each of its guards.
//! `cargo xtask soak`: the lab again and again.

mod checks;
mod control;
mod mutants;
mod problem;
mod soak;
mod tree;

use problem::Problem;
use std::path::Path;
use std::process::ExitCode;
use tree::Tree;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, [])) if command == "verify" => verify(),
        Some((command, rest)) if command == "mutants" => mutants::mutants(rest),
        Some((command, rest)) if command == "soak" => match rest.split_first() {
            Some((what, rest)) if what == "control" => control::control(rest),
            _ => soak::soak(rest),
        },
        _ => {
            eprintln!(
                "usage: cargo xtask verify | mutants [WORD] | soak [lab | lost | control] [RUNS] [FIRST_SEED]"
            );
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
