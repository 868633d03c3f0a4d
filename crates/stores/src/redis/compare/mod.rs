//! Comparison: whether two sides of a link hold the same keys, with the positions between which that
//! was seen.
//!
//! Redis has no snapshot to read from, so keys are looked at one after the other while both servers
//! go on: each by a digest of its value that does not depend on its encoding, and by when it
//! expires. A key that seems to differ is looked at again, at the source under `WATCH` and at the
//! target after the link has brought all that the source had: only what differs then differs. One
//! that changes too often for that is read with the source's position, while the link stands still
//! exactly there.
//!
//! Invariant: an answer is only given when all keys of both sides were looked at. Whatever comes in
//! between is an error, and the answer is unknown; so it is when a key changed too often to tell.

mod at_once;
mod digest;
mod follows;
mod large;
pub(super) mod read;
mod settle;
pub(super) mod side;
mod stream;

use super::fault::Fault;
use super::link::Filter;
use mainstay_core::estate::RedisEndpoint;
use mainstay_core::position::ReplicationOffset;
use serde::{Deserialize, Serialize};
use settle::Verdict;
use side::Side;
use std::collections::BTreeSet;
use std::time::Instant;

pub use crate::pace::Pace;
pub use follows::{Follows, Held};

/// Keys that are asked for at once.
const PAGE: usize = 200;
/// Differences that are listed; all of them are counted.
const LISTED: usize = 100;
/// Bytes of a key that are shown.
const SHOWN: usize = 500;

/// Is told of each difference as it is found, also of those that are not listed, and of how far the
/// comparison has come.
pub trait Listener: Send {
    fn found(&mut self, _: &Difference) {}

    /// After each page. Must return at once.
    fn progress(&mut self, _: &Progress) {}
}

/// Nobody listens.
impl Listener for () {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Of both sides together: that were looked at, and that there were when it began.
    pub keys_done: u64,
    pub keys: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Only the source has the key.
    Missing,
    /// Only the target has it.
    Extra,
    /// Both have it, with other types, values or times of expiry.
    Different,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub database: u64,
    /// Bytes that are no plain letters are written as in a Rust string (`\xff`); of a long one only
    /// the beginning.
    pub key: String,
    pub kind: Kind,
    /// What of it differs, in a few words.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Every key was the same at a position between the two that are told.
    Equal,
    Different,
    /// Nothing differs for certain, and some keys changed too often to tell.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Each key was looked at while the source was between these two. Where they are the same,
    /// nothing was written meanwhile, and the answer is true at that one position.
    pub from: ReplicationOffset,
    pub to: ReplicationOffset,
    pub answer: Answer,
    /// The answer is *equal*.
    pub equal: bool,
    /// How many keys each side told of; one that is told twice counts twice.
    pub keys_source: u64,
    pub keys_target: u64,
    pub differences: u64,
    /// The first of them.
    pub differing: Vec<Difference>,
    /// Keys that changed too often to tell, and the first of them.
    pub unsettled: u64,
    pub changing: Vec<String>,
    /// Keys that were looked at again.
    pub looked_again: u64,
    pub seconds: f64,
}

/// Compares every key that a link with this `exclude` replicates.
pub async fn run(
    ends: (&RedisEndpoint, &RedisEndpoint),
    exclude: &[String],
    link: &impl Follows,
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    run_at(Pace::Full, ends, exclude, link, listener).await
}

/// As `run`, at a pace.
pub async fn run_at(
    pace: Pace,
    (source, target): (&RedisEndpoint, &RedisEndpoint),
    exclude: &[String],
    link: &impl Follows,
    listener: &mut dyn Listener,
) -> Result<Comparison, Fault> {
    let began = Instant::now();
    let mut source = Side::open(source, "comparison").await?;
    let mut target = Side::open(target, "comparison").await?;
    side::agree(&mut source, &mut target);
    let from = source.position().await?;
    let comparison = Comparison {
        from,
        to: from,
        answer: Answer::Unknown,
        equal: false,
        keys_source: 0,
        keys_target: 0,
        differences: 0,
        differing: Vec::new(),
        unsettled: 0,
        changing: Vec::new(),
        looked_again: 0,
        seconds: 0.0,
    };
    let filter = Filter::new(exclude);
    let progress = Progress::default();
    let mut comparing =
        Comparing { pace, source, target, filter, link, listener, progress, comparison };
    comparing.sweep().await?;
    comparing.functions().await?;
    let Comparing { mut source, mut comparison, .. } = comparing;
    comparison.to = source.position().await?;
    if comparison.to.history != from.history {
        return Err(source.interrupted("it began a new history meanwhile".to_owned()));
    }
    comparison.seconds = began.elapsed().as_secs_f64();
    comparison.answer = match (comparison.differences, comparison.unsettled) {
        (0, 0) => Answer::Equal,
        (0, _) => Answer::Unknown,
        _ => Answer::Different,
    };
    comparison.equal = comparison.answer == Answer::Equal;
    Ok(comparison)
}

struct Comparing<'a, L> {
    pace: Pace,
    source: Side,
    target: Side,
    filter: Filter,
    link: &'a L,
    listener: &'a mut dyn Listener,
    progress: Progress,
    comparison: Comparison,
}

impl<L: Follows> Comparing<'_, L> {
    async fn sweep(&mut self) -> Result<(), Fault> {
        let mut databases = self.source.databases().await?;
        databases.extend(self.target.databases().await?);
        self.progress.keys = databases.iter().map(|(_, keys)| keys).sum();
        let databases: BTreeSet<u64> = databases.into_iter().map(|(number, _)| number).collect();
        for database in databases {
            self.source.select(database).await?;
            self.target.select(database).await?;
            self.keys_of_the_source().await?;
            self.keys_of_the_target().await?;
        }
        Ok(())
    }

    async fn keys_of_the_source(&mut self) -> Result<(), Fault> {
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let started = Instant::now();
            let (keys, next) = self.source.scan(&at, PAGE, &self.filter).await?;
            cursor = next;
            let looked_at = keys.len() as u64;
            self.comparison.keys_source += looked_at;
            let (here, there) = tokio::try_join!(
                read::keys(&mut self.source, &keys),
                read::keys(&mut self.target, &keys)
            )?;
            let mut differing = Vec::new();
            for (key, (here, there)) in keys.into_iter().zip(here.iter().zip(&there)) {
                if read::difference(here, there, self.source.sends_times()).is_some() {
                    differing.push(key);
                }
            }
            self.look_again(differing).await?;
            self.done(looked_at, started).await;
        }
        Ok(())
    }

    /// Of these only what the source has not is of interest: all that it has was compared.
    async fn keys_of_the_target(&mut self) -> Result<(), Fault> {
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let started = Instant::now();
            let (keys, next) = self.target.scan(&at, PAGE, &self.filter).await?;
            cursor = next;
            let looked_at = keys.len() as u64;
            self.comparison.keys_target += looked_at;
            let there = self.source.exist(&keys).await?;
            let missing = keys.into_iter().zip(there).filter(|(_, there)| !there);
            self.look_again(missing.map(|(key, _)| key).collect()).await?;
            self.done(looked_at, started).await;
        }
        Ok(())
    }

    async fn done(&mut self, keys: u64, started: Instant) {
        self.progress.keys_done += keys;
        self.listener.progress(&self.progress);
        self.pace.rest(started).await;
    }

    async fn look_again(&mut self, keys: Vec<Vec<u8>>) -> Result<(), Fault> {
        self.comparison.looked_again += keys.len() as u64;
        let verdicts = settle::settle(&mut self.source, &mut self.target, self.link, keys).await?;
        for (key, verdict) in verdicts {
            match verdict {
                Verdict::Equal => {}
                Verdict::Unsettled => {
                    self.comparison.unsettled += 1;
                    if self.comparison.changing.len() < LISTED {
                        self.comparison.changing.push(shown(&key));
                    }
                }
                Verdict::Different(kind, what) => {
                    let key = shown(&key);
                    let database = self.source.database();
                    self.differs(Difference { database, key, kind, what });
                }
            }
        }
        Ok(())
    }

    fn differs(&mut self, difference: Difference) {
        self.listener.found(&difference);
        self.comparison.differences += 1;
        if self.comparison.differing.len() < LISTED {
            self.comparison.differing.push(difference);
        }
    }

    /// Libraries of functions change seldom: they are read once at each side, after all else.
    async fn functions(&mut self) -> Result<(), Fault> {
        let at = self.source.position().await?;
        let here = self.source.functions().await?;
        self.link.reach(at).await.map_err(|why| self.target.interrupted(why))?;
        let there = self.target.functions().await?;
        let (Some(here), Some(there)) = (here, there) else { return Ok(()) };
        let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        for name in names {
            let kind = match (here.get(name), there.get(name)) {
                (one, other) if one == other => continue,
                (_, None) => Kind::Missing,
                (None, _) => Kind::Extra,
                _ => Kind::Different,
            };
            let (key, what) = (name.clone(), "a library of functions".to_owned());
            self.differs(Difference { database: 0, key, kind, what });
        }
        Ok(())
    }
}

/// A key as people read it.
fn shown(key: &[u8]) -> String {
    let beginning = key.get(..SHOWN).unwrap_or(key).escape_ascii();
    let more = if key.len() > SHOWN { format!("... ({} bytes)", key.len()) } else { String::new() };
    format!("{beginning}{more}")
}
