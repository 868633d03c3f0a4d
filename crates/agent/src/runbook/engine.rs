//! Running a runbook: intent (durable), act, outcome (durable), step by step.

use super::conduct::{Conduct, Ended};
use super::definition::{Defined, Own, groups};
use super::own::{self, Around, Looked};
use super::step::Skip;
use super::words::{Answer, Question, Word};
use super::{Step, StepError};
use crate::application::Application;
use crate::types::{Execution, ExecutionState, StepState};
use futures::FutureExt;
use futures::future::BoxFuture;
use mainstay_core::runbook::Work;
use std::sync::Arc;
use std::time::Duration;

/// Past the point of no return a built-in step is tried again and again, ever more slowly.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so many tries a person is told.
const TRIES_BEFORE_STUCK: u32 = 10;

/// Runs the steps that are not done yet. A built-in step whose intent is open is made again, since
/// each of them looks at the world first; of a person's own step its probe looks.
pub async fn conduct(application: &Arc<Application>, execution: Execution) {
    let conduct = Conduct::new(application, execution);
    match run(&conduct).await {
        Ok(()) => conduct.finish(ExecutionState::Succeeded, None).await,
        Err(Ended(why)) => conduct.give_up(&why).await,
    }
}

/// Ends an execution that did not pass the claim; the active site is told to go on.
pub async fn give_up(application: &Arc<Application>, execution: Execution, why: &str) {
    Conduct::new(application, execution).give_up(why).await;
}

async fn run(conduct: &Conduct) -> Result<(), Ended> {
    conduct.begin().await?;
    for group in groups(&conduct.steps) {
        conduct.not_given_up().await?;
        let mut made: Vec<BoxFuture<'_, Result<(), Ended>>> = Vec::new();
        for index in group {
            made.push(make(conduct, index).boxed());
        }
        futures::future::join_all(made).await.into_iter().collect::<Result<(), Ended>>()?;
    }
    Ok(())
}

async fn make(conduct: &Conduct, index: usize) -> Result<(), Ended> {
    let state = conduct.state_of(index).await;
    if matches!(state, StepState::Done | StepState::Skipped) {
        return Ok(());
    }
    match conduct.steps.get(index) {
        Some(Defined::BuiltIn(step)) => built_in(conduct, index, *step).await,
        Some(Defined::Own(own)) => Making { conduct, index, own }.until_settled(state).await,
        None => Ok(()),
    }
}

/// Before the claim of a planned move one failure ends the execution, afterwards there is only
/// forward.
async fn built_in(conduct: &Conduct, index: usize, step: Step) -> Result<(), Ended> {
    let mut pause = FIRST_PAUSE;
    for tries in 1.. {
        let failed = match attempt_built_in(conduct, index, step).await {
            Ok(()) => break,
            Err(why) => why,
        };
        conduct.may_go_on(step.name(), &failed)?;
        if tries == TRIES_BEFORE_STUCK {
            let skips = (step.skip() != Skip::Nobody).then_some(Answer::Skip);
            let answers = std::iter::once(Answer::Retry).chain(skips).collect();
            let what = format!("{failed}; it is tried again by itself");
            conduct.ask(Question { step: step.name().to_owned(), what, answers }).await;
        }
        let word = tokio::time::timeout(pause, conduct.word(step.name())).await;
        match word.ok().transpose()? {
            Some(Word { answer: Answer::Skip, by, reason, .. }) => {
                let said = format!("left out by {}: {reason}", by.name);
                conduct.settle(index, StepState::Skipped, said).await?;
                break;
            }
            _ => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
    conduct.answered(step.name()).await;
    Ok(())
}

async fn attempt_built_in(conduct: &Conduct, index: usize, step: Step) -> Result<(), StepError> {
    conduct.intend(index).await?;
    let mut execution = conduct.snapshot().await;
    let made = step.make(&conduct.application, &mut execution).await;
    conduct.outcome(index, &made, execution.facts).await?;
    made.map(drop)
}

/// What one try of a person's own step came to.
enum Tried {
    Made,
    Failed(StepError),
    /// It may have been made.
    Unknown(String),
}

struct Making<'a> {
    conduct: &'a Conduct,
    index: usize,
    own: &'a Own,
}

impl Making<'_> {
    async fn until_settled(&self, before: StepState) -> Result<(), Ended> {
        let Self { conduct, index, own } = self;
        if let Some(why) = self.left_out().await {
            return conduct.settle(*index, StepState::Skipped, why).await;
        }
        if let Work::Approve { question } = &own.work {
            return self.approval(question).await;
        }
        let (mut tries, mut pause) = (0, own.settings.pause);
        let mut looks = before != StepState::Pending;
        loop {
            let (failed, unknown) = match self.try_once(looks).await? {
                Tried::Made => {
                    conduct.answered(&own.name).await;
                    return Ok(());
                }
                Tried::Failed(why) => (why.0, false),
                Tried::Unknown(why) => (why, true),
            };
            (tries, looks) = (tries + 1, true);
            conduct.not_superseded(&own.name)?;
            if !unknown && tries < own.settings.tries {
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            if own.settings.optional {
                return conduct.settle(*index, StepState::Failed, failed).await;
            }
            conduct.may_go_on(&own.name, &StepError(failed.clone()))?;
            match self.ask(failed, vec![Answer::Retry, Answer::Skip]).await? {
                // The person has looked.
                Word { answer: Answer::Retry, .. } => {
                    (tries, pause, looks) = (0, own.settings.pause, false);
                }
                word => return self.leave_out(word).await,
            }
        }
    }

    /// Why the step is not made in this execution.
    async fn left_out(&self) -> Option<String> {
        let Self { conduct, own, .. } = self;
        let execution = conduct.snapshot().await;
        if let Some(to) = own.settings.to.as_ref().filter(|to| **to != execution.to) {
            return Some(format!("only in moves to {to}"));
        }
        let is_done = |name: &&String| {
            let record = execution.steps.iter().find(|step| step.name == **name);
            record.is_some_and(|step| step.state == StepState::Done)
        };
        let needed = own.settings.needs.iter().find(|name| !is_done(name));
        needed.map(|name| format!("it needs {name}, which was not done"))
    }

    /// What is unknown is looked at before it is made.
    async fn try_once(&self, looks: bool) -> Result<Tried, Ended> {
        let Self { conduct, index, own } = self;
        let execution = conduct.snapshot().await;
        let around = Around::new(&conduct.application, own, conduct.runbook, &execution);
        if looks {
            match own::look(&around).await {
                Looked::Unknown(why) => return Ok(Tried::Unknown(why)),
                Looked::Done(said) => {
                    let said = format!("it had been made: {said}");
                    conduct.settle(*index, StepState::Done, said).await?;
                    return Ok(Tried::Made);
                }
                Looked::NotDone => {}
            }
        }
        conduct.not_superseded(&own.name)?;
        match self.attempt(&around).await {
            Ok(()) => Ok(Tried::Made),
            Err(why) => Ok(Tried::Failed(why)),
        }
    }

    async fn attempt(&self, around: &Around<'_>) -> Result<(), StepError> {
        let Self { conduct, index, own } = self;
        conduct.keep(own::keep(around).await?).await;
        conduct.intend(*index).await?;
        // With what was kept, and when it began.
        let execution = conduct.snapshot().await;
        let around = Around::new(&conduct.application, own, conduct.runbook, &execution);
        let whole = match own.work {
            Work::Wait { span } => span + own.settings.timeout,
            _ => own.settings.timeout + Duration::from_secs(1),
        };
        let made = tokio::select! {
            made = tokio::time::timeout(whole, own::make(&around)) => {
                made.unwrap_or_else(|_| Err(StepError(format!("not done within {whole:?}"))))
            }
            ended = conduct.until_superseded(&own.name) => Err(StepError(ended.0)),
        };
        conduct.outcome(*index, &made, Default::default()).await?;
        made.map(drop)
    }

    async fn approval(&self, question: &str) -> Result<(), Ended> {
        let Self { conduct, index, own } = self;
        conduct.intend_at_last(*index).await?;
        let execution = conduct.snapshot().await;
        let around = Around::new(&conduct.application, own, conduct.runbook, &execution);
        let mut answers = vec![Answer::Resume];
        // Until then the former active site can simply go on.
        answers.extend(conduct.may_give_up().then_some(Answer::Abort));
        match self.ask(around.fill(question), answers).await? {
            Word { answer: Answer::Resume, by, reason, .. } => {
                conduct.answered(&own.name).await;
                let said = format!("approved by {}: {reason}", by.name);
                conduct.settle(*index, StepState::Done, said).await
            }
            word => Err(Ended(format!("{} gave it up: {}", word.by.name, word.reason))),
        }
    }

    async fn ask(&self, what: String, answers: Vec<Answer>) -> Result<Word, Ended> {
        let step = self.own.name.clone();
        self.conduct.ask(Question { step, what, answers }).await;
        let word = self.conduct.word(&self.own.name).await?;
        self.conduct.answered(&self.own.name).await;
        Ok(word)
    }

    async fn leave_out(&self, word: Word) -> Result<(), Ended> {
        let said = format!("left out by {}: {}", word.by.name, word.reason);
        self.conduct.settle(self.index, StepState::Skipped, said).await
    }
}
