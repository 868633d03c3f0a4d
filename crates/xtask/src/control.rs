//! `cargo xtask soak control [SCENE] [RUNS] [FIRST_SEED]`: the lab's scenes on real processes, each
//! with many seeds; and Patroni in the same run, for comparison. `JOBS=2` plays two at a time. With
//! `--output json` the table is one document.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

const RUNS: u64 = 20;

/// In the order in which they are played.
const SCENES: [&str; 21] = [
    "isolated",
    "killed",
    "patroni",
    "witness-cut",
    "sites-cut",
    "clock",
    "clock-fast",
    "dns-down",
    "stopped",
    "late-return",
    "lagging",
    "drain-killed",
    "flapping",
    "lossy",
    "refused-row",
    "restarted",
    "old-backup",
    "versions",
    "conductor",
    "disk-full",
    "disk-broken",
];

/// What the table shows of each scene: median, 99th percentile and largest.
const SHOWN: [&str; 5] = ["rto_ms", "refuses_after_ms", "overlap_ms", "false_failovers", "lost"];

struct Asked {
    scenes: Vec<String>,
    runs: u64,
    first: u64,
    json: bool,
    /// Further options of `mainstay lab scene`.
    long: bool,
}

pub fn control(arguments: &[String]) -> ExitCode {
    let Some(asked) = read(arguments) else {
        eprintln!(
            "usage: cargo xtask soak control [SCENE | all] [RUNS] [FIRST_SEED] [--long] \
             [--output json]\nscenes: {}",
            SCENES.join(", ")
        );
        return ExitCode::from(2);
    };
    let raw = raw_file();
    let outcomes = match play(&asked, &raw) {
        Ok(outcomes) => outcomes,
        Err(why) => {
            eprintln!("soak: {why}");
            return ExitCode::FAILURE;
        }
    };
    let table = summary(&outcomes);
    if asked.json {
        println!("{table:#}");
    } else {
        show(&table);
    }
    eprintln!("soak: every run is in {}", raw.display());
    let missed = outcomes.iter().any(|it| it["missed"].as_array().is_none_or(|it| !it.is_empty()));
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn read(arguments: &[String]) -> Option<Asked> {
    let json = arguments.windows(2).any(|two| two == ["--output", "json"]);
    let long = arguments.iter().any(|word| word == "--long");
    let words =
        arguments.iter().filter(|word| !["--output", "json", "--long"].contains(&word.as_str()));
    let mut words = words.peekable();
    let scenes: Vec<String> = match words.next_if(|word| word.parse::<u64>().is_err()) {
        Some(word) if word != "all" => {
            SCENES.contains(&word.as_str()).then(|| vec![word.clone()])?
        }
        _ => SCENES.map(str::to_owned).into(),
    };
    let mut number = |usual| words.next().map_or(Some(usual), |word| word.parse().ok());
    let (runs, first) = (number(RUNS)?, number(1)?);
    Some(Asked { scenes, runs, first, json, long })
}

fn target() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// One line a run, appended as each ends.
fn raw_file() -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let (now, pid) = (now.map_or(0, |it| it.as_secs()), std::process::id());
    target().join(format!("soak/control-{now}-{pid}.jsonl"))
}

/// Seed by seed, so that every scene has had some runs whenever somebody ends it.
fn play(asked: &Asked, raw: &Path) -> Result<Vec<Value>, String> {
    let jobs = std::env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1_usize);
    let seeds = asked.first..asked.first + asked.runs;
    let runs = seeds.flat_map(|seed| asked.scenes.iter().map(move |scene| (scene.clone(), seed)));
    let left = Mutex::new(runs);
    if let Some(folder) = raw.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let file = std::fs::File::options().append(true).create(true).open(raw);
    let file = Mutex::new(file.map_err(|e| format!("{}: {e}", raw.display()))?);
    let outcomes = Mutex::new(Vec::new());
    let next = || left.lock().ok()?.next();
    let worker = || -> Result<(), String> {
        while let Some((scene, seed)) = next() {
            let outcome = run(&scene, seed, asked.long)?;
            let mut file = file.lock().map_err(|e| e.to_string())?;
            writeln!(file, "{outcome}").map_err(|e| format!("{}: {e}", raw.display()))?;
            outcomes.lock().map_err(|e| e.to_string())?.push(outcome);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let mut ended = workers.into_iter().map(|it| it.join().map_err(|_| "a worker panicked"));
        ended.try_for_each(|it| it?)
    })?;
    outcomes.into_inner().map_err(|e| e.to_string())
}

fn run(scene: &str, seed: u64, long: bool) -> Result<Value, String> {
    let binary = target().join("debug/mainstay");
    let mut lab = Command::new(&binary);
    lab.args(["lab", "scene", scene, "--output", "json", "--seed", &seed.to_string()]);
    if long {
        lab.arg("--long");
    }
    let output = lab.stderr(Stdio::null()).output();
    let output = output.map_err(|e| format!("{} does not start: {e}", binary.display()))?;
    let outcome = serde_json::from_slice(&output.stdout).unwrap_or_else(
        |_| json!({"scene": scene, "seed": seed, "missed": ["it ended without an outcome"]}),
    );
    let missed: Vec<String> =
        outcome["missed"].as_array().into_iter().flatten().map(Value::to_string).collect();
    let held =
        if missed.is_empty() { "held".to_owned() } else { format!("MISSED {}", missed.join("; ")) };
    eprintln!("soak: {scene} with seed {seed}, load {}: {held}", outcome["load"]);
    Ok(outcome)
}

/// For each scene how often it was played, how often everything held, and its figures.
fn summary(outcomes: &[Value]) -> Value {
    let mut scenes: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for outcome in outcomes {
        scenes.entry(outcome["scene"].as_str().unwrap_or("?")).or_default().push(outcome);
    }
    let rows = scenes.into_iter().map(|(scene, outcomes)| {
        let held = outcomes.iter().filter(|it| it["missed"].as_array().is_some_and(Vec::is_empty));
        let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, value) in outcomes.iter().filter_map(|it| it["figures"].as_object()).flatten() {
            figures.entry(name).or_default().extend(value.as_f64());
        }
        let figures: BTreeMap<_, _> =
            figures.into_iter().map(|(name, values)| (name, spread(values))).collect();
        json!({"scene": scene, "runs": outcomes.len(), "held": held.count(), "figures": figures})
    });
    Value::Array(rows.collect())
}

/// By the nearest rank: with fewer than 100 runs the 99th percentile is the largest.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        let rank = (values.len() as f64 * share).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied()
    };
    json!({"least": rank(0.0), "median": rank(0.5), "p99": rank(0.99), "most": values.last()})
}

fn show(table: &Value) {
    println!("scene\truns\theld\t{} (median / p99 / most)", SHOWN.join("\t"));
    for row in table.as_array().into_iter().flatten() {
        let cell = |name: &&str| {
            let spread = &row["figures"][*name];
            let number = |which: &str| spread[which].as_f64().map(|it| format!("{it:.0}"));
            let numbers = ["median", "p99", "most"].map(number);
            numbers
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map_or("-".to_owned(), |it| it.join(" / "))
        };
        let cells: Vec<String> = SHOWN.iter().map(cell).collect();
        let scene = row["scene"].as_str().unwrap_or("?");
        println!("{scene}\t{}\t{}\t{}", row["runs"], row["held"], cells.join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_s_figures_are_spread_over_its_runs_and_a_miss_is_counted() {
        let run = |rto: f64, missed: &[&str]| json!({"scene": "killed", "missed": missed, "figures": {"rto_ms": rto}});
        let table = summary(&[run(9.0, &[]), run(1.0, &["x"]), run(5.0, &[])]);
        let row = &table[0];
        assert_eq!((&row["runs"], &row["held"]), (&json!(3), &json!(2)));
        let expected = json!({"least": 1.0, "median": 5.0, "p99": 9.0, "most": 9.0});
        assert_eq!(row["figures"]["rto_ms"], expected);
    }

    #[test]
    fn what_is_asked_for_is_read_in_any_of_its_forms() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let asked = read(&words("killed 3 7 --output json")).expect("it can be read");
        assert_eq!((asked.scenes.len(), asked.runs, asked.first, asked.json), (1, 3, 7, true));
        let asked = read(&words("5")).expect("it can be read");
        assert_eq!((asked.scenes.len(), asked.runs, asked.first), (SCENES.len(), 5, 1));
        assert!(read(&words("nothing 5")).is_none());
    }
}
