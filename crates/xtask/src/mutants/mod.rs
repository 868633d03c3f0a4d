//! `cargo xtask mutants [WORD]`: takes each guard of the decision away in turn, in a copy, and
//! requires that the tests of core see it. WORD takes only the guards whose words hold it.

mod list;

use list::{MUTANTS, Mutant};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{fs, io};

/// What is asked, the quickest to name an invariant first. The long forms prove nothing more of a
/// mutant, and the page of states follows every change.
const TESTS: [&str; 3] = [
    "test(/families::(a_clock|a_cut|a_planned|an_old|the_loss|the_active)/)",
    "not test(/families::/) and not test(/page/) and not test(/soak_/)",
    "test(/families::/) and not test(/soak_/)",
];

pub fn mutants(arguments: &[String]) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match run(&root, arguments.first().map_or("", String::as_str)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("mutants: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, word: &str) -> Result<bool, String> {
    let copy = copy(root).map_err(|why| format!("core cannot be copied: {why}"))?;
    if let Verdict::Caught(by) = judge(&copy, &TESTS[..2])? {
        return Err(format!("core's tests fail as it is: {by}"));
    }
    let (mut caught, mut survived) = (0, 0);
    for mutant in MUTANTS.iter().filter(|mutant| mutant.guard.contains(word)) {
        let began = Instant::now();
        let verdict = try_one(root, &copy, mutant)?;
        let took = began.elapsed().as_secs();
        match verdict {
            Verdict::Caught(by) => {
                caught += 1;
                println!("caught    {took:>4} s  {}: {by}", mutant.guard);
            }
            Verdict::Survived => {
                survived += 1;
                println!("SURVIVED  {took:>4} s  {}", mutant.guard);
            }
        }
    }
    println!("mutants: {caught} caught, {survived} survived");
    Ok(survived == 0 && caught > 0)
}

/// What the tests said.
enum Verdict {
    /// By the invariant, or by the test, that failed.
    Caught(String),
    Survived,
}

fn try_one(root: &Path, copy: &Path, mutant: &Mutant) -> Result<Verdict, String> {
    let path = Path::new("crates/core/src").join(mutant.file);
    let shown = |why: io::Error| format!("{}: {why}", path.display());
    let text = fs::read_to_string(root.join(&path)).map_err(shown)?;
    let mutated = mutated(&text, mutant)?;
    fs::write(copy.join(&path), mutated).map_err(shown)?;
    let verdict = judge(copy, &TESTS).map_err(|why| format!("{}: {why}", mutant.guard));
    fs::write(copy.join(&path), text).map_err(shown)?;
    verdict
}

fn mutated(text: &str, mutant: &Mutant) -> Result<String, String> {
    match text.matches(mutant.from).count() {
        1 => Ok(text.replacen(mutant.from, mutant.to, 1)),
        found => Err(format!(
            "{}: its text is found {found} times in {}, not once; mend the list",
            mutant.guard, mutant.file
        )),
    }
}

/// Builds and runs the tests of the copy. What does not compile is no mutant.
fn judge(copy: &Path, tests: &[&str]) -> Result<Verdict, String> {
    let nextest = |tests: &str, more: &str| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("target"));
        cargo.args(["nextest", "run", "--offline", "--color", "never", more, "-E", tests]);
        cargo.output().map_err(|why| format!("cargo: {why}"))
    };
    let built = nextest("all()", "--no-run")?;
    if !built.status.success() {
        return Err(format!("does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    for tests in tests {
        let ran = nextest(tests, "--fail-fast")?;
        if !ran.status.success() {
            return Ok(Verdict::Caught(reason(&String::from_utf8_lossy(&ran.stderr))));
        }
    }
    Ok(Verdict::Survived)
}

/// The invariant that a model's test names, or the first line of the test that failed.
fn reason(output: &str) -> String {
    let after = |line: &str, mark: &str| line.split_once(mark).map(|(_, rest)| rest.to_owned());
    let invariant = output.lines().find_map(|line| after(line, "does not hold: "));
    let failed = output.lines().find(|line| line.contains("FAIL [")).unwrap_or("a test failed");
    let test = || failed.split_whitespace().next_back().unwrap_or(failed).to_owned();
    invariant.unwrap_or_else(test)
}

/// Core alone, as a workspace of its own.
fn copy(root: &Path) -> io::Result<PathBuf> {
    let copy = root.join("target/mutants");
    let core = copy.join("crates/core");
    if core.exists() {
        fs::remove_dir_all(&core)?;
    }
    copy_folder(&root.join("crates/core"), &core)?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let lines = manifest.lines().filter(|line| !line.starts_with("default-members"));
    fs::write(copy.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n"))?;
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    Ok(copy)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_is_found_exactly_once() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
        assert!(MUTANTS.len() >= 30);
        for mutant in MUTANTS {
            let text = fs::read_to_string(sources.join(mutant.file)).expect("a source of core");
            let mutated_text = mutated(&text, mutant).expect("a guard that is found");
            assert_ne!(mutated_text, text, "{}", mutant.guard);
            assert!(mutated("", mutant).is_err(), "{}", mutant.guard);
        }
        let guards: std::collections::BTreeSet<_> = MUTANTS.iter().map(|it| it.guard).collect();
        assert_eq!(guards.len(), MUTANTS.len(), "every guard has words of its own");
    }

    #[test]
    fn the_invariant_is_named_before_the_test() {
        let output = "FAIL [ 0.1s] mainstay-core::it model::a\nb: does not hold: 1: one site";
        assert_eq!(reason(output), "1: one site");
        let output =
            "  PASS [ 0.1s] (1/2) mainstay-core::it b\n  FAIL [ 0.1s] (2/2) mainstay-core::it c";
        assert_eq!(reason(output), "c");
    }
}
