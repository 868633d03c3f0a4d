//! Reading rows again at one position, and swapping those that still differ.

use super::image::{self, CHUNK, Images, named};
use super::keys::Batch;
use super::record::{Record, Swap};
use super::still::{self, Still};
use super::{DOING, Mode, Repaired, Sides};
use crate::postgres::catalog::Table;
use crate::postgres::fault::Fault;
use crate::postgres::put_right::{Names, Rows, Tally, Work};
use crate::postgres::session::{Session, fault};
use crate::postgres::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};

/// Both sides as of one position.
pub(super) struct Both<'a> {
    pub sides: &'a Sides,
    /// The source, at the position at which the target stands.
    pub snapshot: &'a Snapshot,
    /// Says whether the target still stands there.
    pub still: Still<'a>,
}

pub(super) struct Swapping<'a> {
    pub both: &'a Both<'a>,
    pub tables: &'a BTreeMap<String, Table>,
}

impl Swapping<'_> {
    /// A row that nobody named may hold a value that must be unique; it differs, too. Then all is
    /// done again with it, so that it is in the record like the others.
    pub async fn run(
        &self,
        mode: Mode,
        target: &mut Session,
        mut batch: Batch,
        record: &mut Record,
        repaired: &mut Repaired,
    ) -> Result<(), Fault> {
        loop {
            let mut done = repaired.clone();
            let extra = self.attempt(mode, target, &batch, record, &mut done).await?;
            if extra.is_empty() {
                *repaired = done;
                return Ok(());
            }
            record.forget()?;
            for (table, keys) in extra {
                batch.entry(table).or_default().extend(keys);
            }
        }
    }

    /// Answers with the keys of rows that stood in the way; nothing is done when there are some.
    async fn attempt(
        &self,
        mode: Mode,
        target: &mut Session,
        batch: &Batch,
        record: &mut Record,
        repaired: &mut Repaired,
    ) -> Result<Batch, Fault> {
        let place = target.place().to_owned();
        let transaction = target.begin(DOING).await?;
        let work = Work {
            transaction: &transaction,
            place: &place,
            link: &format!("repair of {}", self.both.sides.link),
            until: self.both.snapshot.position,
        };
        still::lock(&transaction, self.both.sides, &place, self.both.still).await?;
        work.begin().await?;
        let differing = self.name_differing(mode, &work, batch, record, repaired).await?;
        if mode != Mode::Swap {
            record.keep()?;
            return Ok(Batch::new());
        }
        let named = differing.keys().filter_map(|name| self.tables.get_key_value(name.as_str()));
        let named = named.map(|(name, table)| (name.as_str(), table)).collect();
        let (active, tally) = (&self.both.snapshot.session, &Tally::untold());
        Rows { work: &work, active, tally }.put_right(&named).await?;
        let extra = work.named_beside(&differing).await?;
        if extra.is_empty() {
            work.forget_names().await?;
            record.keep()?;
            transaction.commit().await.map_err(|error| fault(&place, DOING, &error))?;
        }
        Ok(extra)
    }

    /// Records and names the rows that still differ. Answers with their keys.
    async fn name_differing(
        &self,
        mode: Mode,
        work: &Work<'_>,
        batch: &Batch,
        record: &mut Record,
        repaired: &mut Repaired,
    ) -> Result<Batch, Fault> {
        let mut differing = Batch::new();
        for (name, keys) in batch {
            let Some(table) = self.tables.get(name) else { continue };
            for chunk in keys.chunks(CHUNK) {
                let (here, there) = self.images(work, table, chunk).await?;
                let mut names = Names::default();
                for swap in self.swaps(table, chunk, here, there, repaired) {
                    names.add(name, &swap.key);
                    differing.entry(name.clone()).or_default().push(swap.key_texts());
                    if mode != Mode::Salvage || swap.before.is_some() {
                        record.add(&swap)?;
                    }
                }
                work.name(&names).await?;
            }
        }
        Ok(differing)
    }

    async fn images(
        &self,
        work: &Work<'_>,
        table: &Table,
        keys: &[Vec<String>],
    ) -> Result<(Images, Images), Fault> {
        let source = &self.both.snapshot.session;
        let here = image::read(source.client(), table, keys);
        let there = image::read(work.transaction.client(), table, keys);
        let (here, there) = tokio::join!(here, there);
        let here = here.map_err(|error| source.fault(DOING, &error))?;
        Ok((here, there.map_err(|error| fault(work.place, DOING, &error))?))
    }

    fn swaps(
        &self,
        table: &Table,
        asked: &[Vec<String>],
        mut here: Images,
        mut there: Images,
        repaired: &mut Repaired,
    ) -> Vec<Swap> {
        let all: BTreeSet<Vec<String>> = here.keys().chain(there.keys()).cloned().collect();
        let mut swaps = Vec::new();
        for key in all {
            let (before, after) = (there.remove(&key), here.remove(&key));
            match (&before, &after) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(_), Some(_)) => repaired.updated += 1,
                (Some(_), None) => repaired.deleted += 1,
                (None, _) => repaired.inserted += 1,
            }
            let (table, key) = (table.name.clone(), named(table, &key));
            swaps.push(Swap { table, key, before, after, position: self.both.snapshot.position });
        }
        repaired.equal_by_now += (asked.len() - swaps.len().min(asked.len())) as u64;
        swaps
    }
}
