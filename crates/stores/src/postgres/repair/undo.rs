//! Taking a repair back: rows of the target become what they were before it.

use super::image::{self, CHUNK};
use super::record::Swap;
use super::still::{self, Still};
use super::{DOING, Hold, Sides, stands};
use crate::postgres::catalog::{self, Table, list};
use crate::postgres::compare::Held;
use crate::postgres::fault::Fault;
use crate::postgres::salvage::Columns;
use crate::postgres::session::{Session, fault};
use crate::postgres::text::{as_text, literal, literals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::BufRead;
use tokio_postgres::Transaction;

/// Lines of the record that are undone in one transaction.
const ONCE: usize = 5_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    pub restored: u64,
    /// Rows that are not as the repair left them: changed since, or never swapped.
    pub left: u64,
}

/// Restores each row of the record that is still as the repair left it.
pub async fn undo(
    sides: &Sides,
    mut record: impl BufRead + Send,
    mut hold: impl Hold,
) -> Result<Undone, Fault> {
    let mut undone = Undone::default();
    let mut line = 0;
    loop {
        let swaps = next(&mut record, &mut line)?;
        if swaps.is_empty() {
            return Ok(undone);
        }
        let held = hold.hold().await.map_err(|why| stands(sides, why))?;
        let some = standing(sides, &swaps, &|| held.still_stands()).await?;
        drop(held);
        undone.restored += some;
        undone.left += swaps.len() as u64 - some;
    }
}

fn next(record: &mut impl BufRead, line: &mut u64) -> Result<Vec<Swap>, Fault> {
    let mut swaps = Vec::new();
    let mut text = String::new();
    while swaps.len() < ONCE {
        text.clear();
        *line += 1;
        let damaged = |why: String| Fault::RepairUnreadable { line: *line, why };
        if record.read_line(&mut text).map_err(|error| damaged(error.to_string()))? == 0 {
            break;
        }
        swaps.push(serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?);
    }
    Ok(swaps)
}

/// Rows that were written go first, in all tables; then those that were there before come back.
async fn standing(sides: &Sides, swaps: &[Swap], still: Still<'_>) -> Result<u64, Fault> {
    let mut target = Session::open(&sides.target, "undo of a repair").await?;
    target.batch(DOING, "SET statement_timeout = 0").await?;
    let tables = catalog::tables(&target).await?;
    let place = target.place().to_owned();
    let failed = |error| fault(&place, DOING, &error);
    let transaction = target.begin(DOING).await?;
    still::lock(&transaction, sides, &place, still).await?;
    let replica = "SET LOCAL session_replication_role = replica";
    transaction.batch_execute(replica).await.map_err(failed)?;
    let mut restored = Vec::new();
    for (name, swaps) in by_table(swaps) {
        let Some(table) = tables.get(name) else { continue };
        for chunk in swaps.chunks(CHUNK) {
            let as_left = still_as_left(&transaction, table, chunk).await.map_err(failed)?;
            delete(&transaction, table, &as_left).await.map_err(failed)?;
            restored.push((table, as_left));
        }
    }
    let mut count = 0;
    for (table, swaps) in &restored {
        insert(&transaction, table, swaps).await.map_err(failed)?;
        count += swaps.len() as u64;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(count)
}

fn by_table(swaps: &[Swap]) -> BTreeMap<&str, Vec<&Swap>> {
    let mut tables: BTreeMap<&str, Vec<&Swap>> = BTreeMap::new();
    for swap in swaps {
        tables.entry(&swap.table).or_default().push(swap);
    }
    tables
}

/// Rows of a table whose columns or key are not those of the record any more do not count.
async fn still_as_left<'s>(
    transaction: &Transaction<'_>,
    table: &Table,
    swaps: &[&'s Swap],
) -> Result<Vec<&'s Swap>, tokio_postgres::Error> {
    let fits = |swap: &&&Swap| swap.key.names().eq(table.key.iter().map(String::as_str));
    let swaps: Vec<&Swap> = swaps.iter().filter(fits).copied().collect();
    if swaps.is_empty() {
        return Ok(swaps);
    }
    let keys: Vec<Vec<String>> = swaps.iter().map(|swap| swap.key_texts()).collect();
    let now = image::read(transaction.client(), table, &keys).await?;
    let as_left = |swap: &&Swap| now.get(&swap.key_texts()) == swap.after.as_ref();
    Ok(swaps.into_iter().filter(as_left).collect())
}

async fn delete(
    transaction: &Transaction<'_>,
    table: &Table,
    swaps: &[&Swap],
) -> Result<(), tokio_postgres::Error> {
    let written = swaps.iter().filter(|swap| swap.after.is_some());
    let keys: Vec<Vec<String>> = written.map(|swap| swap.key_texts()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let (name, key, keys) = (&table.quoted, list(&table.key), literals(&keys));
    transaction.batch_execute(&format!("DELETE FROM ONLY {name} WHERE ({key}) IN ({keys})")).await
}

async fn insert(
    transaction: &Transaction<'_>,
    table: &Table,
    swaps: &[&Swap],
) -> Result<(), tokio_postgres::Error> {
    let rows: Vec<&Columns> = swaps.iter().filter_map(|swap| swap.before.as_ref()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let row = |row: &&Columns| {
        let value = |column: &String| literal(row.get(column).and_then(as_text));
        format!("({})", table.writable.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES {}",
        table.quoted,
        list(&table.writable),
        rows.iter().map(row).collect::<Vec<_>>().join(", ")
    );
    transaction.batch_execute(&sql).await
}
