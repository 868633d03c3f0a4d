//! Two ordered sides, walked along together.

use super::scan::{Entry, Scan};
use super::{Listener, TableComparison};
use crate::postgres::catalog::Table;
use crate::postgres::fault::Fault;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::io;

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

/// Counts what differs, and lists the first of it.
pub(super) async fn merge(
    into: &mut Found<'_>,
    mut source: Scan<'_>,
    mut target: Scan<'_>,
) -> Result<(), Fault> {
    let (mut left, mut right) = tokio::try_join!(source.next(), target.next())?;
    while let Some(step) = step(left.as_ref(), right.as_ref()) {
        into.add(step, left.as_ref(), right.as_ref()).map_err(Fault::DifferencesUnwritable)?;
        match step {
            Step::Source => left = source.next().await?,
            Step::Target => right = target.next().await?,
            Step::Both => (left, right) = tokio::try_join!(source.next(), target.next())?,
        }
    }
    Ok(())
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

/// Where the differences of one table go.
pub(super) struct Found<'a> {
    pub table: &'a Table,
    pub comparison: &'a mut TableComparison,
    pub listener: &'a mut dyn Listener,
}

impl Found<'_> {
    fn add(&mut self, step: Step, left: Option<&Entry>, right: Option<&Entry>) -> io::Result<()> {
        match (step, left, right) {
            (Step::Both, Some(left), Some(right)) if left.digest == right.digest => Ok(()),
            (Step::Both, Some(left), _) => self.differ(left, Kind::Differs),
            (Step::Source, Some(left), _) => self.differ(left, Kind::OnlyAtSource),
            (Step::Target, _, Some(right)) => self.differ(right, Kind::OnlyAtTarget),
            _ => Ok(()),
        }
    }

    fn differ(&mut self, entry: &Entry, kind: Kind) -> io::Result<()> {
        let difference = Difference { key: entry.key.clone(), kind };
        if !self.table.key.is_empty() {
            self.listener.found(&self.table.name, &difference)?;
        }
        self.comparison.differences += 1;
        if self.comparison.differing.len() < LISTED {
            self.comparison.differing.push(difference);
        }
        Ok(())
    }
}
