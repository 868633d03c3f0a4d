//! The rows of one table at one side, as a digest of each range of its key.
//!
//! A range's digest is the count of its rows and two sums of 64 bits of each row's text, under
//! seeds that are new in every comparison: no order is needed, and servers add up in parallel.

use super::interrupted;
use super::ranges::Ranges;
use super::settled::Bytes;
use crate::postgres::catalog::{Table, list};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use std::collections::{BTreeMap, BTreeSet};

const DOING: &str = "read a table to compare it";

/// 128 bits that make each comparison's digests its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds(u64, u64);

impl Seeds {
    pub fn random() -> Self {
        let (first, second) = uuid::Uuid::new_v4().as_u64_pair();
        Self(first, second)
    }
}

#[derive(Debug, Default)]
pub(super) struct Digests {
    ranges: BTreeMap<i32, Digest>,
    /// Of rows in text form.
    pub bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Digest {
    rows: i64,
    sums: [String; 2],
}

impl Digests {
    pub fn rows(&self) -> u64 {
        self.ranges.values().map(|digest| digest.rows.unsigned_abs()).sum()
    }

    /// The ranges that are not the same at both sides.
    pub fn differing(&self, other: &Self) -> BTreeSet<i32> {
        let all = self.ranges.keys().chain(other.ranges.keys());
        all.filter(|index| self.ranges.get(index) != other.ranges.get(index)).copied().collect()
    }
}

pub(super) async fn read(
    session: &Session,
    table: &Table,
    ranges: &Ranges,
    seeds: Seeds,
    bytes: Bytes,
) -> Result<Digests, Fault> {
    let rows = session.rows(DOING, &query(table, ranges, seeds, bytes), &[]).await;
    let rows = rows.map_err(|fault| interrupted(session, fault.to_string()))?;
    let mut digests = Digests::default();
    for row in rows {
        let digest = Digest { rows: row.get(1), sums: [row.get(2), row.get(3)] };
        digests.ranges.insert(row.get(0), digest);
        digests.bytes += u64::try_from(row.get::<_, i64>(4)).unwrap_or(0);
    }
    Ok(digests)
}

/// OFFSET keeps the row's text from being made once for each sum.
fn query(table: &Table, ranges: &Ranges, Seeds(first, second): Seeds, bytes: Bytes) -> String {
    format!(
        "SELECT i, count(*), sum(hashtextextended(r, {first}))::text, \
                sum(hashtextextended(r, {second}))::text, sum(octet_length(r))::int8 \
         FROM (SELECT {index} AS i, {row} AS r FROM ONLY {table} OFFSET 0) t \
         GROUP BY i",
        first = first.cast_signed(),
        second = second.cast_signed(),
        index = ranges.index(),
        row = bytes.hashed(&format!("ROW({})::text", list(&table.columns))),
        table = table.quoted,
    )
}
