//! What an execution asks a person, and what people answer.

use super::step::Skip;
use crate::error::Refused;
use crate::people::Asker;
use crate::people::too_little;
use crate::types::Execution;
use mainstay_core::people::Role;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// A step that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub step: String,
    pub what: String,
    /// What can be answered.
    pub answers: Vec<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Make the step again.
    Retry,
    /// Go on without it.
    Skip,
    /// Give the execution up.
    Abort,
    /// Go on: what the step asked for is given.
    Resume,
}

impl Answer {
    pub fn name(self) -> &'static str {
        match self {
            Answer::Retry => "retry",
            Answer::Skip => "skip",
            Answer::Abort => "abort",
            Answer::Resume => "resume",
        }
    }
}

/// In place of a step: the whole execution.
pub const WHOLE: &str = "*";

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub execution: String,
    pub step: String,
    pub answer: Answer,
    pub by: Asker,
    pub reason: String,
}

/// What came of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heard {
    Taken,
    /// Another person has to say the same.
    OneOfTwo,
}

#[derive(Default)]
pub struct Words {
    given: Mutex<Vec<Word>>,
    /// The first of two people who want a fence left out.
    first: Mutex<Option<Word>>,
    arrived: Notify,
}

impl Words {
    /// Whether the word counts. `skip` says who may have that step left out, and `requested_by` who
    /// asked for the execution.
    pub fn judge(&self, word: &Word, skip: Skip, execution: &Execution) -> Result<Heard, Refused> {
        let question = execution.questions.iter().find(|it| it.step == word.step);
        let question = question.ok_or_else(|| {
            refused(format!("{} does not wait for a person", word.step), "mainstay run show")
        })?;
        if !question.answers.contains(&word.answer) {
            let answers: Vec<&str> = question.answers.iter().map(|it| it.name()).collect();
            let what = format!("{} cannot be answered with {}", word.step, word.answer.name());
            return Err(refused(what, &format!("mainstay run {}", answers.join(" | "))));
        }
        match (word.answer, skip) {
            (Answer::Resume, _) => approves(word, execution).map(|()| Heard::Taken),
            (Answer::Skip, Skip::Two) => self.second(word),
            _ => Ok(Heard::Taken),
        }
    }

    fn second(&self, word: &Word) -> Result<Heard, Refused> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |it: &&Word| it.execution == word.execution && it.step == word.step;
        match first.as_ref().filter(same) {
            Some(earlier) if earlier.by.may_be(&word.by) => Ok(Heard::OneOfTwo),
            Some(_) if word.by.role < Role::Approver => Err(too_little(&word.by, Role::Approver)),
            Some(_) => {
                *first = None;
                Ok(Heard::Taken)
            }
            None => {
                *first = Some(word.clone());
                Ok(Heard::OneOfTwo)
            }
        }
    }

    pub fn give(&self, word: Word) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        self.arrived.notify_waiters();
    }

    pub fn take(&self, execution: &str, step: &str) -> Option<Word> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let at = given.iter().position(|it| it.execution == execution && it.step == step)?;
        Some(given.remove(at))
    }

    /// Resolves when the next word arrives.
    pub async fn arrives(&self) {
        self.arrived.notified().await;
    }
}

/// Who asked for the execution cannot approve it as well.
fn approves(word: &Word, execution: &Execution) -> Result<(), Refused> {
    if word.by.role < Role::Approver {
        return Err(too_little(&word.by, Role::Approver));
    }
    let asked_by = execution.requested_by.split(", approved by ").next().unwrap_or_default();
    match asked_by == word.by.name {
        false => Ok(()),
        true => Err(Refused::new(
            "MS-PEOPLE-004",
            format!("{asked_by} asked for {}: nobody approves what is their own", execution.id),
            "have another approver type it",
        )),
    }
}

fn refused(what: String, advice: &str) -> Refused {
    Refused::new("MS-RUN-002", what, advice)
}
