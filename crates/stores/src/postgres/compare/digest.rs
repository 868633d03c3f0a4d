//! The rows of one table at one side, as a digest of each range of its key.
//!
//! A range's digest is the count of its rows and two sums of 64 bits of each row, under seeds that
//! are new in every comparison: no order is needed, and servers add up in parallel.

use super::interrupted;
use super::ranges::Ranges;
use crate::postgres::catalog::Table;
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
    /// Of the table as it is stored.
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
    row: &str,
    seeds: Seeds,
) -> Result<Digests, Fault> {
    let rows = session.rows(DOING, &query(table, ranges, row, seeds), &[]).await;
    let rows = rows.map_err(|fault| interrupted(session, fault.to_string()))?;
    let mut digests = Digests { bytes: stored(session, table).await?, ..Digests::default() };
    for row in rows {
        let digest = Digest { rows: row.get(1), sums: [row.get(2), row.get(3)] };
        digests.ranges.insert(row.get(0), digest);
    }
    Ok(digests)
}

async fn stored(session: &Session, table: &Table) -> Result<u64, Fault> {
    let sql = "SELECT pg_catalog.pg_table_size(pg_catalog.to_regclass($1))";
    let bytes: i64 = session.row(DOING, sql, &[&table.quoted]).await?.get(0);
    Ok(bytes.unsigned_abs())
}

/// OFFSET keeps the row's parts from being made once for each sum.
fn query(table: &Table, ranges: &Ranges, row: &str, Seeds(first, second): Seeds) -> String {
    format!(
        "SELECT i, count(*), sum(hash_record_extended(r, {first}))::text, \
                sum(hash_record_extended(r, {second}))::text \
         FROM (SELECT {index} AS i, {row} AS r FROM ONLY {table} OFFSET 0) t \
         GROUP BY i",
        first = first.cast_signed(),
        second = second.cast_signed(),
        index = ranges.index(),
        table = table.quoted,
    )
}
