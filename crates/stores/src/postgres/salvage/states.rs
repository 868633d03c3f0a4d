//! What became of each transaction of a salvage.

use super::decided::{Decided, Decisions, Verdict};
use super::format::{Change, Header};
use super::read::{Event, Reader};
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::estate::{PostgresEndpoint, SalvageRule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Mainstay's own notes travel with the data; there is nothing to decide about them.
const NOTES: &str = "mainstay.decided";

/// A salvage, the site that is active now, and the rules of its tables (`schema.table`); tables
/// without one are `ask`.
#[derive(Debug, Clone, Copy)]
pub struct Book<'a> {
    pub path: &'a Path,
    pub active: &'a PostgresEndpoint,
    pub rules: &'a BTreeMap<String, SalvageRule>,
}

impl Book<'_> {
    pub(super) fn read(&self) -> Result<Reader, Fault> {
        Reader::open(self.path)
    }

    pub(super) async fn states(&self) -> Result<States<'_>, Fault> {
        let session = Session::open(self.active, "salvage").await?;
        let decisions = Decisions::new(session);
        Ok(States { reader: self.read()?, decisions, rules: self.rules })
    }
}

pub(super) fn rule(rules: &BTreeMap<String, SalvageRule>, table: &str) -> SalvageRule {
    if is_note(table) {
        return SalvageRule::Keep;
    }
    rules.get(table).copied().unwrap_or(SalvageRule::Ask)
}

pub(super) fn is_note(table: &str) -> bool {
    table == NOTES
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing was decided yet.
    Open,
    Replayed,
    Rejected,
    /// All of it is under the rule `keep`.
    Kept,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Replayed => "replayed",
            State::Rejected => "rejected",
            State::Kept => "kept",
        }
    }
}

/// A transaction without its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    pub header: Header,
    pub state: State,
    pub decided: Option<Decided>,
    pub changes: u64,
}

/// Reads a salvage transaction by transaction.
pub(super) struct States<'a> {
    reader: Reader,
    decisions: Decisions,
    rules: &'a BTreeMap<String, SalvageRule>,
}

impl States<'_> {
    pub async fn next(&mut self) -> Result<Option<Stated>, Fault> {
        let (mut header, mut changes, mut all_kept) = (None, 0, true);
        while let Some(event) = self.reader.next().await? {
            match event {
                Event::Begin(begun) => header = Some(begun),
                Event::Change(Change { table, .. }) => {
                    changes += 1;
                    all_kept &= rule(self.rules, &table) == SalvageRule::Keep;
                }
                Event::Commit(_) => {
                    let Some(header) = header else { return Ok(None) };
                    let decided = self.decisions.of(&header).await?;
                    let state = state(decided.as_ref(), all_kept);
                    return Ok(Some(Stated { header, state, decided, changes }));
                }
            }
        }
        Ok(None)
    }
}

fn state(decided: Option<&Decided>, all_kept: bool) -> State {
    match decided.map(|decided| decided.verdict) {
        Some(Verdict::Replayed) => State::Replayed,
        Some(Verdict::Rejected) => State::Rejected,
        None if all_kept => State::Kept,
        None => State::Open,
    }
}

/// How many transactions of a salvage are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    pub open: u64,
    pub replayed: u64,
    pub rejected: u64,
    pub kept: u64,
}

/// Counts them, by what the active site knows now.
pub async fn survey(book: &Book<'_>) -> Result<Survey, Fault> {
    let mut states = book.states().await?;
    let mut survey = Survey::default();
    while let Some(stated) = states.next().await? {
        *match stated.state {
            State::Open => &mut survey.open,
            State::Replayed => &mut survey.replayed,
            State::Rejected => &mut survey.rejected,
            State::Kept => &mut survey.kept,
        } += 1;
    }
    Ok(survey)
}
