//! Doing again at the active site what a person's rules allow of a salvage.
//!
//! A salvaged transaction becomes one transaction, or nothing: what cannot be done whole is left
//! for a person, with the reason.

use super::format::{Change, Columns, Header, Op};
use super::read::{Event, Reader};
use super::target::{Outcome, Target};
use crate::postgres::fault::Fault;
use mainstay_core::estate::{PostgresEndpoint, SalvageRule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;

/// How many transactions for a person are listed. The others are counted.
const LISTED: usize = 1000;

/// What became of a salvage's transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Replayed now.
    pub transactions: u64,
    pub rows_inserted: u64,
    /// Rows that the active site has already, with the same values.
    pub already_there: u64,
    /// Changes under the rule `keep`: they stay in the salvage.
    pub kept: u64,
    /// Transactions that an earlier replay had done.
    pub done_before: u64,
    /// Transactions left for a person, and the first thousand of them.
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

/// Replays a salvage by the rules, table by table (`schema.table`); tables without one are `ask`.
/// Doing it again replays nothing twice, and tries again what was left for a person.
pub async fn replay(
    active: &PostgresEndpoint,
    salvage: impl Read + Send + 'static,
    rules: &BTreeMap<String, SalvageRule>,
) -> Result<Replayed, Fault> {
    let mut reader = Reader::new(salvage);
    let mut replay = Replay {
        target: Target::open(active).await?,
        rules,
        replayed: Replayed::default(),
        state: State::Outside,
    };
    while let Some(event) = reader.next().await? {
        match event {
            Event::Begin(header) => replay.state = State::Reading(header, Counts::default()),
            Event::Change(change) => replay.change(change).await?,
            Event::Commit(_) => replay.commit().await?,
        }
    }
    Ok(replay.replayed)
}

/// What a transaction adds to the figures if it is committed.
#[derive(Default)]
struct Counts {
    inserted: u64,
    there: u64,
    kept: u64,
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
    target: Target,
    rules: &'a BTreeMap<String, SalvageRule>,
    replayed: Replayed,
    state: State,
}

impl Replay<'_> {
    async fn change(&mut self, change: Change) -> Result<(), Fault> {
        let rule = self.rules.get(&change.table).copied().unwrap_or(SalvageRule::Ask);
        match (rule, change.op) {
            (SalvageRule::Keep, _) => {
                self.counts(|counts| counts.kept += 1);
                Ok(())
            }
            (SalvageRule::ReplayInserts, Op::Insert) => self.insert(change).await,
            (SalvageRule::ReplayInserts, _) => {
                self.ask(change, "only inserts of this table are replayed".to_owned(), None).await
            }
            (SalvageRule::Ask, _) => {
                self.ask(change, "a person decides about this table".to_owned(), None).await
            }
        }
    }

    async fn insert(&mut self, change: Change) -> Result<(), Fault> {
        if !self.begin().await? {
            return Ok(());
        }
        match self.target.insert(&change).await? {
            Outcome::Inserted => self.counts(|counts| counts.inserted += 1),
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
        if self.target.begin(header).await? {
            self.state = match std::mem::replace(&mut self.state, State::Outside) {
                State::Reading(header, counts) => State::Replaying(header, counts),
                other => other,
            };
            return Ok(true);
        }
        self.replayed.done_before += 1;
        self.state = State::Passing;
        Ok(false)
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
        change: Change,
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
        self.list(transaction, change, why, found);
        Ok(())
    }

    fn list(&mut self, transaction: Header, change: Change, why: String, found: Option<Columns>) {
        self.replayed.asked_total += 1;
        if self.replayed.asked.len() < LISTED {
            let Change { table, op, key, old, new } = change;
            let salvaged = new.or(old);
            self.replayed.asked.push(Asked { transaction, why, table, op, key, salvaged, found });
        }
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Reading(_, counts) => self.replayed.kept += counts.kept,
            State::Replaying(header, counts) => self.commit_at_target(header, &counts).await?,
            State::Outside | State::Passing => {}
        }
        Ok(())
    }

    /// Deferred constraints speak only now.
    async fn commit_at_target(&mut self, header: Header, counts: &Counts) -> Result<(), Fault> {
        if let Some(why) = self.target.commit().await? {
            let (table, op) = (String::new(), Op::Insert);
            self.list(header, Change { table, op, key: None, old: None, new: None }, why, None);
            return Ok(());
        }
        self.replayed.transactions += 1;
        self.replayed.rows_inserted += counts.inserted;
        self.replayed.already_there += counts.there;
        self.replayed.kept += counts.kept;
        Ok(())
    }
}
