//! One look at every key of both sides.

use super::copy::Writer;
use super::hints::{self, Hints};
use super::{Told, record};
use crate::redis::compare::read;
use crate::redis::compare::side::{Side, agree};
use crate::redis::link::{Filter, LinkError, LinkSpec};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Keys that are asked for at once.
const PAGE: usize = 200;

pub(super) struct Sweep {
    source: Side,
    target: Side,
    filter: Filter,
    writer: Writer,
    hints: Hints,
    told: Told,
}

impl Sweep {
    pub(super) async fn begin(spec: &LinkSpec, told: Told) -> Result<Self, LinkError> {
        let mut source = Side::open(&spec.source, "scan").await?;
        let mut target = Side::open(&spec.target, "scan").await?;
        agree(&mut source, &mut target);
        record::claim(&mut target, spec).await?;
        let writer = Writer::new(spec, &mut target).await?;
        let filter = Filter::new(&spec.exclude);
        let hints = hints::listen(&spec.source);
        Ok(Self { source, target, filter, writer, hints, told })
    }

    /// Looks at every key. Says whether the target took all that differed.
    pub(super) async fn all(&mut self) -> Result<bool, LinkError> {
        self.writer.refused = false;
        let here = self.source.databases().await?;
        let there = self.target.databases().await?;
        self.refuse_empty(&here).await?;
        let databases = here.into_iter().chain(there).map(|(number, _)| number);
        let databases: BTreeSet<u64> = databases.collect();
        for database in databases {
            self.select(database).await?;
            self.pages(database, true).await?;
            self.pages(database, false).await?;
        }
        self.functions().await?;
        Ok(!self.writer.refused)
    }

    async fn select(&mut self, database: u64) -> Result<(), LinkError> {
        self.source.select(database).await?;
        self.target.select(database).await?;
        Ok(())
    }

    /// The keys of one side, a page at a time, and between two pages what the source named.
    async fn pages(&mut self, database: u64, of_source: bool) -> Result<(), LinkError> {
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let side = if of_source { &mut self.source } else { &mut self.target };
            let (mut keys, next) = side.scan(&at, PAGE, &self.filter).await?;
            cursor = next;
            if !of_source {
                let there = self.source.exist(&keys).await?;
                let mut there = there.into_iter();
                keys.retain(|_| !there.next().unwrap_or(true));
            }
            self.check(&keys).await?;
            self.named().await?;
            if [&self.source, &self.target].iter().any(|side| side.database() != database) {
                self.select(database).await?;
            }
        }
        Ok(())
    }

    /// Looks at these keys, and makes the target's what the source's are.
    async fn check(&mut self, keys: &[Vec<u8>]) -> Result<(), LinkError> {
        let (here, there) = tokio::try_join!(
            read::keys(&mut self.source, keys),
            read::keys(&mut self.target, keys)
        )?;
        let mut gone = Vec::new();
        for (key, (here, there)) in keys.iter().zip(here.iter().zip(&there)) {
            if read::same(here, there) {
                continue;
            }
            if here.is_none() {
                gone.push(key.clone());
            } else if self.writer.copy(&mut self.source, &mut self.target, key).await? {
                self.told.get().copied += 1;
            }
        }
        self.remove(gone).await?;
        self.writer.flush(&mut self.target).await?;
        if let Some(why) = self.writer.why.take() {
            self.told.get().refused = Some(why);
        }
        Ok(())
    }

    /// What a second look at the source does not find either.
    async fn remove(&mut self, keys: Vec<Vec<u8>>) -> Result<(), LinkError> {
        let there = self.source.exist(&keys).await?;
        for (key, there) in keys.into_iter().zip(there) {
            if !there {
                self.writer.remove(key);
                self.told.get().removed += 1;
            }
        }
        Ok(())
    }

    /// The keys that the source named since the last time.
    async fn named(&mut self) -> Result<(), LinkError> {
        while let Some((database, keys)) = self.hints.take(PAGE) {
            self.look_at(database, keys).await?;
        }
        Ok(())
    }

    async fn look_at(&mut self, database: u64, mut keys: Vec<Vec<u8>>) -> Result<(), LinkError> {
        keys.retain(|key| !self.filter.excludes(key));
        self.told.get().hints += keys.len() as u64;
        self.select(database).await?;
        self.check(&keys).await
    }

    /// Until the next sweep, only what the source names is looked at.
    pub(super) async fn rest(&mut self, rest: Duration) -> Result<(), LinkError> {
        let until = Instant::now() + rest;
        while tokio::time::timeout_at(until, self.hints.arrive()).await.is_ok() {
            self.named().await?;
        }
        Ok(())
    }

    /// A source that came back without what it had is no reason to remove all at the target. One
    /// that was emptied while it ran is.
    async fn refuse_empty(&mut self, here: &[(u64, u64)]) -> Result<(), LinkError> {
        let process = self.source.info("server").await?.remove("run_id");
        let known = std::mem::replace(&mut self.told.get().process, process.clone());
        if !here.is_empty() || known == process {
            return Ok(());
        }
        self.told.get().process = known;
        let mut keys = 0;
        for (database, _) in self.target.databases().await? {
            self.target.select(database).await?;
            let (page, next) = self.target.scan("0", PAGE, &self.filter).await?;
            keys += page.len() as u64 + u64::from(next.is_some());
        }
        match keys {
            0 => Ok(()),
            keys => Err(LinkError::SourceEmpty { place: self.source.place().to_owned(), keys }),
        }
    }

    async fn functions(&mut self) -> Result<(), LinkError> {
        let here = self.source.functions().await?;
        let there = self.target.functions().await?;
        let (Some(here), Some(there)) = (here, there) else { return Ok(()) };
        for (name, code) in &here {
            if there.get(name) != Some(code) {
                self.writer.command(["FUNCTION", "LOAD", "REPLACE"], code);
            }
        }
        for name in there.keys().filter(|name| !here.contains_key(*name)) {
            self.writer.command(["FUNCTION", "DELETE"], name.as_bytes());
        }
        self.writer.flush(&mut self.target).await
    }
}
