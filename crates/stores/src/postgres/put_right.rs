//! Making a returned site equal to the history that went on without it: the rows that its salvage
//! names are taken from the active site.
//!
//! The reverse link begins at the position that was pinned at the promotion, where both sites were
//! equal but for the salvage. The rows come from later, from a snapshot; so the link is told, in
//! the same transaction, to skip changes to them until that snapshot's position.
//!
//! Everything at the returned site happens in one transaction, and doing it again is safe.

mod rows;

use super::catalog::{self, Table};
use super::fault::Fault;
use super::salvage::{Change, Columns, Event, Op, Reader, Value};
use super::session::{Session, fault};
use super::slot;
use super::snapshot::Snapshot;
use mainstay_core::Epoch;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_postgres::Transaction;
use tokio_postgres::types::PgLsn;

pub(super) use rows::Rows;

const DOING: &str = "put rows right";

/// Rows are looked up by their keys: nothing is known of how many there are, and a table must not be
/// read whole for a few of them.
const SETTINGS: &str = "SET LOCAL session_replication_role = replica; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

/// Keys that are held in memory before they are written down.
const BATCH: usize = 500;

/// Which rows to put right, where, and for which link.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The returned site: fenced, its salvage taken.
    pub old: PostgresEndpoint,
    pub active: PostgresEndpoint,
    /// The reverse link's name, as in `mainstay.link`.
    pub link: String,
    /// The reverse link's slot at the active site, pinned at the promotion.
    pub slot: String,
    pub epoch: Epoch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRight {
    /// Rows that the salvage names, and others that stood in their way.
    pub rows: u64,
    /// They are as the active site had them here.
    pub until: Lsn,
    /// Where the reverse link begins.
    pub from: Lsn,
}

pub async fn run(plan: &Plan, salvage: impl Read + Send + 'static) -> Result<PutRight, Fault> {
    run_told(plan, salvage, &|_, _| ()).await
}

/// Is told how many rows are put right so far, and of how many.
pub type Told<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// The same, telling how far it is.
pub async fn run_told(
    plan: &Plan,
    salvage: impl Read + Send + 'static,
    told: Told<'_>,
) -> Result<PutRight, Fault> {
    let from = pinned(plan).await?;
    let snapshot = Snapshot::take(&plan.active, "put right").await?;
    let until = snapshot.position;
    let mut old = Session::open(&plan.old, "put right").await?;
    old.batch(DOING, "SET statement_timeout = 0").await?;
    let tables = catalog::tables(&old).await?;
    let place = old.place().to_owned();
    let transaction = old.begin(DOING).await?;
    let work = Work { transaction: &transaction, place: &place, link: &plan.link, until };
    work.begin().await?;
    let named = work.name_all(&mut Reader::new(salvage), &tables).await?;
    let tally = Tally { done: AtomicU64::new(0), of: work.count().await?, told };
    Rows { work: &work, active: &snapshot.session, tally: &tally }.put_right(&named).await?;
    let rows = work.count().await?;
    work.set_position(plan.epoch, from).await?;
    transaction.commit().await.map_err(|e| fault(&place, DOING, &e))?;
    Ok(PutRight { rows, until, from })
}

/// Where the reverse link begins. Nothing may stream from it meanwhile.
async fn pinned(plan: &Plan) -> Result<Lsn, Fault> {
    let session = Session::open(&plan.active, "put right").await?;
    let state = slot::wait_idle(&session, &plan.slot).await?;
    slot::usable(&session, &plan.slot, state)
}

/// How far it is. Rows that stand in the way are named on the way, so that there may be more in the
/// end than were counted at first.
pub(super) struct Tally<'a> {
    done: AtomicU64,
    of: u64,
    told: Told<'a>,
}

impl Tally<'_> {
    /// Nobody is told.
    pub fn untold() -> Self {
        Self { done: AtomicU64::new(0), of: 0, told: &|_, _| () }
    }

    fn add(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        (self.told)(done, self.of.max(done));
    }
}

/// The transaction at the site whose rows are put right.
pub(super) struct Work<'a> {
    pub transaction: &'a Transaction<'a>,
    pub place: &'a str,
    /// Under which the rows are named in `mainstay.put_right`.
    pub link: &'a str,
    pub until: Lsn,
}

impl Work<'_> {
    fn fault(&self, error: &tokio_postgres::Error) -> Fault {
        fault(self.place, DOING, error)
    }

    async fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.transaction.batch_execute(sql).await.map_err(|e| self.fault(&e))
    }

    /// The rows are copies: no trigger and no foreign key has a say (PostgreSQL manual,
    /// `session_replication_role`). What an earlier attempt noted is replaced.
    pub async fn begin(&self) -> Result<(), Fault> {
        self.batch(SETTINGS).await?;
        self.forget_names().await
    }

    pub async fn forget_names(&self) -> Result<(), Fault> {
        let sql = "DELETE FROM mainstay.put_right WHERE link = $1";
        self.transaction.execute(sql, &[&self.link]).await.map_err(|e| self.fault(&e)).map(drop)
    }

    /// The keys that are named now and are not among these: those of rows that stood in the way.
    pub async fn named_beside(
        &self,
        known: &BTreeMap<String, Vec<Vec<String>>>,
    ) -> Result<BTreeMap<String, Vec<Vec<String>>>, Fault> {
        if self.count().await? == known.values().map(|keys| keys.len() as u64).sum::<u64>() {
            return Ok(BTreeMap::new());
        }
        let sql = "SELECT table_name, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(key)) \
                   FROM mainstay.put_right WHERE link = $1";
        let rows = self.transaction.query(sql, &[&self.link]).await.map_err(|e| self.fault(&e))?;
        let known: HashSet<(&String, &Vec<String>)> = known
            .iter()
            .flat_map(|(table, keys)| keys.iter().map(move |key| (table, key)))
            .collect();
        let mut beside: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for row in rows {
            let (table, key): (String, Vec<String>) = (row.get(0), row.get(1));
            if !known.contains(&(&table, &key)) {
                beside.entry(table).or_default().push(key);
            }
        }
        Ok(beside)
    }

    /// Writes down the keys of all rows that the salvage names, before and after each change.
    async fn name_all<'t>(
        &self,
        salvage: &mut Reader,
        tables: &'t BTreeMap<String, Table>,
    ) -> Result<BTreeMap<&'t str, &'t Table>, Fault> {
        let mut named = BTreeMap::new();
        let mut batch = Names::default();
        while let Some(event) = salvage.next().await? {
            let Event::Change(change) = event else { continue };
            let table = self.fit(&change, tables)?;
            named.insert(table.name.as_str(), table);
            batch.add_all(&change);
            if batch.keys.len() >= BATCH {
                self.name(&std::mem::take(&mut batch)).await?;
            }
        }
        self.name(&batch).await?;
        Ok(named)
    }

    /// The table of a change whose rows can be told apart, still by the columns of the salvage.
    fn fit<'t>(
        &self,
        change: &Change,
        tables: &'t BTreeMap<String, Table>,
    ) -> Result<&'t Table, Fault> {
        let table = change.table.clone();
        if change.op == Op::Truncate {
            return Err(Fault::NotPutRight { table, why: "truncates a table" });
        }
        if change.key.is_none() {
            return Err(Fault::NotPutRight { table, why: "changes a table that has no key" });
        }
        let refused = |why: &str| {
            let (place, why) = (self.place.to_owned(), why.to_owned());
            Err(Fault::PutRightRefused { place, table: change.table.clone(), why })
        };
        match tables.get(&change.table) {
            None => refused("the table is gone; copy it anew from the active site"),
            Some(found) if !change.key_columns().eq(found.key.iter().map(String::as_str)) => {
                refused("its key has other columns now; copy it anew from the active site")
            }
            Some(found) => Ok(found),
        }
    }

    pub async fn name(&self, batch: &Names) -> Result<(), Fault> {
        let sql = "INSERT INTO mainstay.put_right (link, table_name, columns, key, until) \
                   SELECT $1, t, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(c::jsonb)), \
                          k::jsonb, $5 \
                   FROM unnest($2::text[], $3::text[], $4::text[]) AS u (t, c, k) \
                   ON CONFLICT (link, table_name, md5(key::text)) DO NOTHING";
        let until = PgLsn::from(self.until.0);
        self.transaction
            .execute(sql, &[&self.link, &batch.tables, &batch.columns, &batch.keys, &until])
            .await
            .map_err(|e| self.fault(&e))
            .map(drop)
    }

    async fn count(&self) -> Result<u64, Fault> {
        let sql = "SELECT count(*) FROM mainstay.put_right WHERE link = $1";
        let row = self.transaction.query_one(sql, &[&self.link]).await;
        let count: i64 = row.map_err(|e| self.fault(&e))?.get(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A position of this epoch that is further on is the link's own: rows were put right before,
    /// and it has streamed since. A new position is of the source's present timeline, which the
    /// link learns when it begins.
    async fn set_position(&self, epoch: Epoch, from: Lsn) -> Result<(), Fault> {
        let sql = "INSERT INTO mainstay.link AS l (name, epoch, position) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET epoch = $2, commit_micros = NULL, \
                       source_timeline = CASE WHEN l.epoch = $2 AND l.position > $3 \
                                              THEN l.source_timeline END, \
                       position = CASE WHEN l.epoch = $2 AND l.position > $3 \
                                       THEN l.position ELSE $3 END";
        let epoch = super::fence::number(epoch);
        self.transaction
            .execute(sql, &[&self.link, &epoch, &PgLsn::from(from.0)])
            .await
            .map_err(|e| self.fault(&e))
            .map(drop)
    }
}

/// Rows by their keys.
#[derive(Default)]
pub(super) struct Names {
    tables: Vec<String>,
    /// The key's columns' names, as a JSON array.
    columns: Vec<String>,
    keys: Vec<String>,
}

impl Names {
    /// The row before and after the change.
    fn add_all(&mut self, change: &Change) {
        for key in change.key.iter().chain(change.new_key().as_ref()) {
            self.add(&change.table, key);
        }
    }

    pub fn add(&mut self, table: &str, key: &Columns) {
        self.tables.push(table.to_owned());
        self.columns.push(as_json(key.names()));
        self.keys.push(as_array(key));
    }
}

/// A key as `mainstay.put_right` holds it: the array of its values as text.
fn as_array(key: &Columns) -> String {
    let text = |(_, value): &(String, Value)| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::Unchanged => None,
    };
    as_json(key.0.iter().map(text))
}

fn as_json<T: Into<serde_json::Value>>(items: impl Iterator<Item = T>) -> String {
    serde_json::Value::Array(items.map(Into::into).collect()).to_string()
}
