//! Doing again at the active site what a person's rules allow of a salvage, or what a person
//! names.
//!
//! A salvaged transaction becomes one transaction, or nothing: what cannot be done whole is left
//! for a person, with the reason.

use super::apply::With;
use super::before::Before;
use super::decided::{Decisions, Verdict};
use super::format::{Change, Columns, Header, Op};
use super::read::Event;
use super::states::{Book, is_note, rule};
use super::target::{Begun, Outcome, Target};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::Epoch;
use mainstay_core::estate::SalvageRule;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many transactions for a person are listed. The others are counted.
const LISTED: usize = 20;

/// What became of a salvage's transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Replayed now.
    pub transactions: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
    /// Changes whose outcome the active site has already.
    pub already_there: u64,
    /// Changes under the rule `keep`: they stay in the salvage.
    pub kept: u64,
    /// Transactions that an earlier replay had done.
    pub done_before: u64,
    /// Transactions that a person rejected: passed over, or now replayed because they were named.
    pub rejected_before: u64,
    pub formerly_rejected: u64,
    /// Transactions left for a person, and the first of them.
    pub asked_total: u64,
    pub asked: Vec<Asked>,
}

/// A transaction that a person has to look at, and the first of its changes that says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(flatten)]
    pub transaction: Header,
    pub why: String,
    pub table: String,
    pub op: Op,
    pub key: Option<Columns>,
    /// The row as it was salvaged.
    pub salvaged: Option<Columns>,
    /// The row with the same key at the active site, where there is one.
    pub found: Option<Columns>,
}

/// What a person chose of a salvage.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Where their commit records begin.
    pub transactions: BTreeSet<Lsn>,
    /// Also rows that the active site changed since.
    pub overwrite: bool,
    pub reason: String,
}

/// Replays a salvage by the rules, under the epoch that this site holds. Doing it again replays
/// nothing twice, and tries again what was left for a person.
pub async fn replay(book: &Book<'_>, epoch: Epoch) -> Result<Replayed, Fault> {
    let mut reader = book.read()?;
    let mut replay = Replay::at(book, epoch, None).await?;
    let mut decisions = Decisions::new(Session::open(book.active, "salvage").await?);
    while let Some(event) = reader.next().await? {
        match event {
            Event::Begin(header) => match decisions.of(&header).await? {
                None => replay.state = State::Reading(header, Counts::default()),
                Some(decided) => replay.pass(decided.verdict),
            },
            Event::Change(change) => replay.by_rule(change).await?,
            Event::Commit(_) => replay.commit().await?,
        }
    }
    replay.end().await
}

/// Replays the transactions that a person names, whatever the rules say. A change is made where
/// the row is as that change found it: by its old image, or by what earlier transactions of the
/// same salvage made of it. All of them must be in the salvage, or nothing is done.
pub async fn replay_chosen(
    book: &Book<'_>,
    epoch: Epoch,
    choice: &Choice,
) -> Result<Replayed, Fault> {
    let mut before = asked_for(book, &choice.transactions).await?;
    let mut reader = book.read()?;
    let mut replay = Replay::at(book, epoch, Some(choice)).await?;
    let mut left = choice.transactions.len();
    while let Some(event) = reader.next().await? {
        match event {
            Event::Begin(header) if choice.transactions.contains(&header.commit_lsn) => {
                left -= 1;
                replay.state = State::Reading(header, Counts::default());
            }
            Event::Begin(_) if left == 0 => break,
            Event::Begin(_) => replay.state = State::Passing,
            Event::Change(change) => {
                replay.chosen(&change, &before).await?;
                before.note(&change);
            }
            Event::Commit(_) => replay.commit().await?,
        }
    }
    replay.end().await
}

/// Which rows will be asked for; every transaction that is named must be there.
async fn asked_for(book: &Book<'_>, named: &BTreeSet<Lsn>) -> Result<Before, Fault> {
    let (mut reader, mut before) = (book.read()?, Before::default());
    let (mut missing, mut chosen) = (named.clone(), false);
    while let Some(event) = reader.next().await? {
        match event {
            Event::Begin(header) => chosen = missing.remove(&header.commit_lsn),
            Event::Change(change) if chosen => before.want(&change),
            Event::Change(_) | Event::Commit(_) => {}
        }
    }
    match missing.first() {
        Some(lsn) => Err(Fault::NotInSalvage { lsn: *lsn }),
        None => Ok(before),
    }
}

/// What a transaction adds to the figures if it is committed.
#[derive(Default)]
struct Counts {
    inserted: u64,
    updated: u64,
    deleted: u64,
    there: u64,
    kept: u64,
    formerly_rejected: bool,
}

impl Counts {
    fn done(&mut self, op: Op) {
        match op {
            Op::Insert => self.inserted += 1,
            Op::Update => self.updated += 1,
            Op::Delete => self.deleted += 1,
            Op::Truncate => {}
        }
    }
}

enum State {
    Outside,
    /// Nothing was sent to the target yet: all changes so far are under `keep`.
    Reading(Header, Counts),
    /// A transaction is open at the target.
    Replaying(Header, Counts),
    /// Left for a person, or done before: the rest of it is passed over.
    Passing,
}

struct Replay<'a> {
    book: &'a Book<'a>,
    target: Target,
    /// Of a person; none: the rules say what is done.
    choice: Option<&'a Choice>,
    replayed: Replayed,
    state: State,
}

impl<'a> Replay<'a> {
    async fn at(
        book: &'a Book<'a>,
        epoch: Epoch,
        choice: Option<&'a Choice>,
    ) -> Result<Self, Fault> {
        let target = Target::open(book.active, epoch).await?;
        Ok(Self { book, target, choice, replayed: Replayed::default(), state: State::Outside })
    }

    /// Nothing is said to be done before it is durable.
    async fn end(self) -> Result<Replayed, Fault> {
        self.target.make_durable().await?;
        Ok(self.replayed)
    }

    async fn by_rule(&mut self, change: Change) -> Result<(), Fault> {
        match (rule(self.book.rules, &change.table), change.op) {
            (SalvageRule::Keep, _) => {
                self.counts(|counts| counts.kept += 1);
                Ok(())
            }
            (SalvageRule::ReplayInserts, Op::Insert) => {
                self.apply(&change, &With { before: None, overwrite: false }).await
            }
            (SalvageRule::ReplayInserts, _) => {
                self.ask(&change, "only inserts of this table are replayed".to_owned(), None).await
            }
            (SalvageRule::Ask, _) => {
                self.ask(&change, "a person decides about this table".to_owned(), None).await
            }
        }
    }

    async fn chosen(&mut self, change: &Change, before: &Before) -> Result<(), Fault> {
        if is_note(&change.table) {
            self.counts(|counts| counts.kept += 1);
            return Ok(());
        }
        let overwrite = self.choice.is_some_and(|choice| choice.overwrite);
        self.apply(change, &With { before: before.of(change), overwrite }).await
    }

    async fn apply(&mut self, change: &Change, with: &With<'_>) -> Result<(), Fault> {
        if !self.begin().await? {
            return Ok(());
        }
        match self.target.apply(change, with).await? {
            Outcome::Done => self.counts(|counts| counts.done(change.op)),
            Outcome::AlreadyThere => self.counts(|counts| counts.there += 1),
            Outcome::Conflict { why, found } => return self.ask(change, why, found).await,
        }
        Ok(())
    }

    /// Begins at the target if that was not done yet. False when there is nothing to do any more.
    async fn begin(&mut self) -> Result<bool, Fault> {
        let header = match &self.state {
            State::Reading(header, _) => header,
            State::Replaying(..) => return Ok(true),
            State::Outside | State::Passing => return Ok(false),
        };
        let reason = self.choice.map_or("by the rules", |choice| &choice.reason);
        match self.target.begin(header, reason, self.choice.is_some()).await? {
            Begun::Yes { formerly_rejected } => {
                self.counts(|counts| counts.formerly_rejected = formerly_rejected);
                self.state = match std::mem::replace(&mut self.state, State::Outside) {
                    State::Reading(header, counts) => State::Replaying(header, counts),
                    other => other,
                };
                return Ok(true);
            }
            Begun::Decided(verdict) => self.pass(verdict),
        }
        Ok(false)
    }

    /// It was decided before: nothing is done.
    fn pass(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Replayed => self.replayed.done_before += 1,
            Verdict::Rejected => self.replayed.rejected_before += 1,
        }
        self.state = State::Passing;
    }

    fn counts(&mut self, add: impl FnOnce(&mut Counts)) {
        match &mut self.state {
            State::Reading(_, counts) | State::Replaying(_, counts) => add(counts),
            State::Outside | State::Passing => {}
        }
    }

    /// Undoes what was done of the transaction, and lists it for a person.
    async fn ask(
        &mut self,
        change: &Change,
        why: String,
        found: Option<Columns>,
    ) -> Result<(), Fault> {
        let transaction = match std::mem::replace(&mut self.state, State::Passing) {
            State::Reading(header, _) => header,
            State::Replaying(header, _) => {
                self.target.rollback().await?;
                header
            }
            State::Outside | State::Passing => return Ok(()),
        };
        let Change { table, op, key, old, new } = change.clone();
        let salvaged = new.or(old);
        self.list(Asked { transaction, why, table, op, key, salvaged, found });
        Ok(())
    }

    fn list(&mut self, asked: Asked) {
        self.replayed.asked_total += 1;
        if self.replayed.asked.len() < LISTED {
            self.replayed.asked.push(asked);
        }
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        // A person named it and has nothing to do with it: it is replayed, and said to be.
        if self.choice.is_some() && matches!(self.state, State::Reading(..)) {
            self.begin().await?;
        }
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Reading(_, counts) => self.replayed.kept += counts.kept,
            State::Replaying(header, counts) => self.commit_at_target(header, &counts).await?,
            State::Outside | State::Passing => {}
        }
        Ok(())
    }

    async fn commit_at_target(
        &mut self,
        transaction: Header,
        counts: &Counts,
    ) -> Result<(), Fault> {
        if let Some(why) = self.target.commit().await? {
            let (table, op) = (String::new(), Op::Insert);
            let (key, salvaged, found) = (None, None, None);
            self.list(Asked { transaction, why, table, op, key, salvaged, found });
            return Ok(());
        }
        self.replayed.transactions += 1;
        self.replayed.rows_inserted += counts.inserted;
        self.replayed.rows_updated += counts.updated;
        self.replayed.rows_deleted += counts.deleted;
        self.replayed.already_there += counts.there;
        self.replayed.kept += counts.kept;
        self.replayed.formerly_rejected += u64::from(counts.formerly_rejected);
        Ok(())
    }
}
