//! `cargo xtask soak [lab | lost] [RUNS] [FIRST_SEED]`: the lab's whole scenario again and again,
//! each with another seed, until one run misses an objective or leaves a transfer unaccounted for.
//! With `lab` each seed is played with everything that makes a run harder; with `lost` it has 50,000
//! transactions that never arrive.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

const RUNS: u64 = 20;

/// What a seed is played with: as it is; or all of these, one after the other.
const PLAIN: [&[&str]; 1] = [&[]];
const TRIALS: [&[&str]; 10] = [
    &["--disasters", "3"],
    &["--crash-return"],
    &["--lose-again"],
    &["--lose-again=failover"],
    &["--lost", "2000", "--crash-return"],
    &["--coordinator", "etcd"],
    &["--coordinator", "etcd", "--disasters", "3"],
    &["--fence", "--disasters", "3"],
    &["--fence=unknown"],
    &["--coordinator", "etcd", "--fence=cut"],
];
const LOST: [&[&str]; 1] = [&["--lost", "50000"]];

/// What is shown of each run, by the names of the lab's JSON report.
const COLUMNS: [&str; 11] = [
    "seed",
    "rto_s",
    "rpo_s",
    "switchover_pause_s",
    "acknowledged",
    "lost",
    "salvaged",
    "replayed",
    "unaccounted",
    "overlap_ms",
    "crashes",
];

pub fn soak(arguments: &[String]) -> ExitCode {
    let (plays, numbers): (&[&[&str]], _) = match arguments.split_first() {
        Some((first, rest)) if first == "lab" => (&TRIALS, rest),
        Some((first, rest)) if first == "lost" => (&LOST, rest),
        _ => (&PLAIN, arguments),
    };
    let number = |index: usize, usual| numbers.get(index).map_or(Ok(usual), |text| text.parse());
    let (Ok(runs), Ok(first)) = (number(0, RUNS), number(1, 1)) else {
        eprintln!("usage: cargo xtask soak [lab | lost] [RUNS] [FIRST_SEED]");
        return ExitCode::from(2);
    };
    println!("{}\tplayed with", COLUMNS.join("\t"));
    for seed in first..first + runs {
        for trials in plays {
            if let Err(why) = run(seed, trials) {
                let trials = trials.join(" ");
                eprintln!("soak: {why}");
                eprintln!(
                    "soak: again, keeping its folder: mainstay lab --seed {seed} --keep {trials}"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    println!("soak: {runs} seeds, nothing missed");
    ExitCode::SUCCESS
}

fn run(seed: u64, trials: &[&str]) -> Result<(), String> {
    let mut lab = Command::new(binary());
    lab.args(["lab", "--output", "json", "--seed", &seed.to_string()]).args(trials);
    let output = lab.stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| format!("{} does not start: {e}", binary().display()))?;
    let report = last_document(&output.stdout);
    let row = row(report.as_ref().unwrap_or(&Value::Null));
    println!("{row}\t{}", trials.join(" "));
    if !output.status.success() {
        return Err(format!("the run with seed {seed} ended with {}", output.status));
    }
    let unaccounted = report.as_ref().and_then(|report| report["unaccounted"].as_u64());
    match unaccounted {
        Some(0) => Ok(()),
        Some(number) => Err(format!("seed {seed}: {number} transfers are unaccounted for")),
        None => Err(format!("the run with seed {seed} ended without a report")),
    }
}

/// Built before by whoever calls this, so that a run measures the lab and not the compiler.
fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("debug/mainstay")
}

/// The last JSON document of the output; it may be written over several lines.
fn last_document(output: &[u8]) -> Option<Value> {
    let documents = serde_json::Deserializer::from_slice(output).into_iter();
    documents.map_while(Result::ok).last()
}

fn row(report: &Value) -> String {
    let cell = |name: &&str| match &report[*name] {
        Value::Null => "-".to_owned(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.2}", number.as_f64().unwrap_or(f64::NAN))
        }
        value => value.to_string(),
    };
    COLUMNS.iter().map(cell).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_document_counts() {
        let output = b"{\"seed\":1}\n{\n  \"seed\": 2,\n  \"rto_s\": 1.5\n}\n";
        let report = last_document(output).expect("there are two");
        assert_eq!(row(&report), "2\t1.50\t-\t-\t-\t-\t-\t-\t-\t-\t-");
    }

    #[test]
    fn no_output_is_no_report() {
        assert_eq!(last_document(b""), None);
    }
}
