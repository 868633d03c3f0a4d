//! Whole agents under a seeded simulation: the shipped agents and watchdogs, with simulated
//! clocks, disks, networks, stores and gates. A seed decides everything, and plays it again.
//!
//! `make soak ARGS="sim FIRST COUNT"` runs many; `MAINSTAY_SEED=7` in front prints one.

mod clients;
mod database;
mod disk;
mod estate;
mod faults;
mod gate;
mod link;
mod network;
mod oracle;
mod process;
mod random;
mod run;
mod stores;
mod world;

use run::{Outcome, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn judge(seed: u64) -> Outcome {
    let outcome = run(seed);
    if let Some(rule) = &outcome.broken {
        let lines: Vec<&str> = outcome.trace.lines().collect();
        let last = lines.len().saturating_sub(number("MAINSTAY_LINES").unwrap_or(60) as usize);
        panic!("seed {seed}: {rule}\n{}", lines[last..].join("\n"));
    }
    outcome
}

#[test]
fn a_seed_plays_the_same_run_again_byte_for_byte() {
    for seed in [2, 5] {
        assert_eq!(run(seed).trace, run(seed).trace, "seed {seed}");
    }
}

#[test]
fn soak_one_seed() {
    let seed = number("MAINSTAY_SEED").unwrap_or(1);
    let outcome = judge(seed);
    println!("{}", outcome.trace);
}
