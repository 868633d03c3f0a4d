//! Two ordered sides, walked along together.

use super::TableComparison;
use super::scan::{Entry, Scan};
use crate::postgres::fault::Fault;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Differences that are listed for each table. The others are counted.
const LISTED: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The row's key as text, by the key's columns in their order; of a table without a key, the
    /// row's digest.
    pub key: Vec<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    OnlyAtSource,
    OnlyAtTarget,
    Differs,
}

/// The comparison of one table, and the bytes that were read for it.
pub(super) async fn merge(
    table: &str,
    mut source: Scan<'_>,
    mut target: Scan<'_>,
) -> Result<(TableComparison, u64), Fault> {
    let mut tally = Tally::new(table);
    let (mut left, mut right) = tokio::try_join!(source.next(), target.next())?;
    while let Some(step) = step(left.as_ref(), right.as_ref()) {
        tally.add(step, left.as_ref(), right.as_ref());
        match step {
            Step::Source => left = source.next().await?,
            Step::Target => right = target.next().await?,
            Step::Both => (left, right) = tokio::try_join!(source.next(), target.next())?,
        }
    }
    Ok((tally.table, tally.bytes))
}

/// The side or sides whose entry comes next.
#[derive(Clone, Copy)]
enum Step {
    Source,
    Target,
    Both,
}

fn step(left: Option<&Entry>, right: Option<&Entry>) -> Option<Step> {
    match (left, right) {
        (None, None) => None,
        (Some(_), None) => Some(Step::Source),
        (None, Some(_)) => Some(Step::Target),
        (Some(left), Some(right)) => Some(match left.key.cmp(&right.key) {
            Ordering::Less => Step::Source,
            Ordering::Greater => Step::Target,
            Ordering::Equal => Step::Both,
        }),
    }
}

struct Tally {
    table: TableComparison,
    bytes: u64,
}

impl Tally {
    fn new(table: &str) -> Self {
        let table = TableComparison { table: table.to_owned(), ..TableComparison::default() };
        Self { table, bytes: 0 }
    }

    fn add(&mut self, step: Step, left: Option<&Entry>, right: Option<&Entry>) {
        let (left, right) = match step {
            Step::Source => (left, None),
            Step::Target => (None, right),
            Step::Both => (left, right),
        };
        self.table.rows_source += u64::from(left.is_some());
        self.table.rows_target += u64::from(right.is_some());
        self.bytes += left.iter().chain(&right).map(|entry| entry.bytes).sum::<u64>();
        match (left, right) {
            (Some(left), Some(right)) if left.digest == right.digest => {}
            (Some(left), Some(_)) => self.differ(left, Kind::Differs),
            (Some(left), None) => self.differ(left, Kind::OnlyAtSource),
            (None, Some(right)) => self.differ(right, Kind::OnlyAtTarget),
            (None, None) => {}
        }
    }

    fn differ(&mut self, entry: &Entry, kind: Kind) {
        self.table.differences += 1;
        if self.table.differing.len() < LISTED {
            self.table.differing.push(Difference { key: entry.key.clone(), kind });
        }
    }
}
