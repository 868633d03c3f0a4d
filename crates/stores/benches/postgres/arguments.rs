//! What was typed.

use super::{Outcome, backlog, compare, copy, large, steady};
use std::path::PathBuf;

pub enum Command {
    /// Run one link, as the child process of a measurement.
    Link,
    Measure(Arguments),
}

#[derive(Default)]
pub struct Arguments {
    quick: bool,
    /// Empty means all.
    only: Vec<String>,
    pub json: Option<PathBuf>,
}

/// How much work is made.
pub struct Sizes {
    pub pgbench_scale: u32,
    pub tpcb_transactions: u32,
    /// Transactions of 100 rows each.
    pub insert_transactions: u32,
    pub key_transactions: u32,
    pub large_rows: u32,
    pub copy_scale: u32,
    pub compare_scale: u32,
    pub steady_seconds: u64,
}

impl Arguments {
    pub fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == work)
    }

    pub fn wants_any(&self, works: &[&str]) -> bool {
        works.iter().any(|work| self.wants(work))
    }

    pub fn sizes(&self) -> Sizes {
        if self.quick {
            return Sizes {
                pgbench_scale: 10,
                tpcb_transactions: 24_000,
                insert_transactions: 3_000,
                key_transactions: 1_000,
                large_rows: 200_000,
                copy_scale: 13,
                compare_scale: 13,
                steady_seconds: 8,
            };
        }
        Sizes {
            pgbench_scale: 50,
            tpcb_transactions: 200_000,
            insert_transactions: 30_000,
            key_transactions: 10_000,
            large_rows: 2_000_000,
            copy_scale: 130,
            compare_scale: 250,
            steady_seconds: 25,
        }
    }
}

/// The works' short names, for `--only`.
fn works() -> Vec<&'static str> {
    let mut works = backlog::NAMES.to_vec();
    works.extend([large::NAME, steady::NAME, copy::NAME, compare::NAME]);
    works
}

pub fn read(typed: impl Iterator<Item = String>) -> Outcome<Command> {
    let mut arguments = Arguments::default();
    let mut typed = typed;
    while let Some(argument) = typed.next() {
        let mut value = |of: &str| typed.next().ok_or(format!("{of} needs a value"));
        match argument.as_str() {
            "link" => return Ok(Command::Link),
            "--quick" => arguments.quick = true,
            "--only" => arguments.only.push(known(value("--only")?)?),
            "--json" => arguments.json = Some(value("--json")?.into()),
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => return Err(usage(other)),
        }
    }
    Ok(Command::Measure(arguments))
}

fn known(work: String) -> Outcome<String> {
    if works().contains(&work.as_str()) { Ok(work) } else { Err(usage(&work)) }
}

fn usage(unknown: &str) -> Box<dyn std::error::Error + Send + Sync> {
    let works = works().join(", ");
    format!("unknown: {unknown}; there are --quick, --json FILE, and --only with {works}").into()
}
