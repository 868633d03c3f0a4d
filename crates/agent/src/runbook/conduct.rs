//! One execution while it is conducted: its journal, and what ends it.

use super::definition::{Defined, Own, pin};
use super::own::{self, Around};
use super::words::{Question, WHOLE, Word};
use super::{StepError, steps};
use crate::application::Application;
use crate::error::AgentError;
use crate::peer::messages::{Done, StepRequest};
use crate::time::unix_micros;
use crate::types::{Execution, ExecutionKind, ExecutionState, StepState};
use mainstay_core::runbook::RunbookName;
use mainstay_core::{Epoch, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const RESUME_TIMEOUT: Duration = Duration::from_secs(3);
/// How soon it is seen that a newer epoch came while a person was waited for.
const LOOK: Duration = Duration::from_millis(200);

pub struct Conduct {
    pub application: Arc<Application>,
    pub runbook: RunbookName,
    pub steps: Vec<Defined>,
    kind: ExecutionKind,
    epoch: Epoch,
    execution: Mutex<Execution>,
}

/// Why an execution does not go on.
#[derive(Debug, Clone)]
pub struct Ended(pub String);

impl From<AgentError> for Ended {
    fn from(why: AgentError) -> Self {
        Self(why.to_string())
    }
}

impl Conduct {
    /// One that an older version began has what that version had: the built-in steps.
    pub fn new(application: &Arc<Application>, mut execution: Execution) -> Self {
        let spec = &application.spec;
        let name = super::definition::runbook_of(spec, execution.kind, &execution.to);
        let steps = match &execution.runbook {
            Some(pinned) => pinned.steps.clone(),
            None => super::steps_of(name).iter().map(|step| Defined::BuiltIn(*step)).collect(),
        };
        // What is still to be asked is asked again.
        execution.questions.clear();
        let runbook = execution.runbook.as_ref().map_or(name, |pinned| pinned.name);
        Self {
            application: application.clone(),
            runbook,
            steps,
            kind: execution.kind,
            epoch: execution.epoch,
            execution: Mutex::new(execution),
        }
    }

    pub async fn snapshot(&self) -> Execution {
        self.execution.lock().await.clone()
    }

    pub async fn state_of(&self, index: usize) -> StepState {
        let execution = self.execution.lock().await;
        execution.steps.get(index).map_or(StepState::Done, |record| record.state)
    }

    /// A journal that cannot be written ends it only where it can be given up.
    pub async fn begin(&self) -> Result<(), Ended> {
        {
            let mut execution = self.execution.lock().await;
            execution.state = ExecutionState::Running;
            self.keeps_to_its_steps(&execution);
        }
        loop {
            let execution = self.snapshot().await;
            let Err(failed) = self.journal(&execution, "execution-begun").await else {
                return Ok(());
            };
            self.again("begin", StepError::new(failed)).await?;
        }
    }

    fn keeps_to_its_steps(&self, execution: &Execution) {
        let Some(pinned) = &execution.runbook else { return };
        let now = pin(&self.application.spec, pinned.name);
        if now.configuration != pinned.configuration {
            let (was, now) = (&pinned.configuration, &now.configuration);
            tracing::warn!(
                was,
                now,
                "the configuration was changed; the execution keeps to its own steps"
            );
        }
    }

    /// What cannot be journaled is tried again, after a moment, where there is only forward.
    async fn again(&self, step: &str, failed: StepError) -> Result<(), Ended> {
        self.may_go_on(step, &failed)?;
        tracing::warn!(step, %failed, "not journaled");
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// The intent is durable when this returns.
    pub async fn intend(&self, index: usize) -> Result<(), StepError> {
        let mut execution = self.execution.lock().await;
        note(&mut execution, index, StepState::Intent, String::new());
        self.journal(&execution, "step-intent").await.map_err(StepError::new)
    }

    /// As `intend`, for a step that a failure would not bring to be tried again.
    pub async fn intend_at_last(&self, index: usize) -> Result<(), Ended> {
        while let Err(failed) = self.intend(index).await {
            let step = self.steps.get(index).map_or("", Defined::name);
            self.again(step, failed).await?;
        }
        Ok(())
    }

    pub async fn outcome(
        &self,
        index: usize,
        made: &Result<String, StepError>,
        facts: BTreeMap<String, Value>,
    ) -> Result<(), StepError> {
        let mut execution = self.execution.lock().await;
        let (state, detail, kind) = match made {
            Ok(detail) => (StepState::Done, detail.clone(), "step-done"),
            Err(why) => (StepState::Failed, why.to_string(), "step-failed"),
        };
        let step = self.steps.get(index).map_or("", Defined::name);
        match made {
            Ok(detail) => tracing::info!(execution = %execution.id, step, detail, "step"),
            Err(failed) => {
                tracing::warn!(execution = %execution.id, step, %failed, "a step failed")
            }
        }
        execution.facts.extend(facts);
        note(&mut execution, index, state, detail);
        self.journal(&execution, kind).await.map_err(StepError::new)
    }

    /// The last word on a step that was not made, or is not made any more. A journal that cannot be
    /// written is tried again: nothing follows before it is durable.
    pub async fn settle(&self, index: usize, state: StepState, why: String) -> Result<(), Ended> {
        let kind = match state {
            StepState::Done => "step-done",
            StepState::Skipped => "step-skipped",
            StepState::Undone => "step-undone",
            _ => "step-failed",
        };
        loop {
            let mut execution = self.execution.lock().await;
            note(&mut execution, index, state, why.clone());
            let Err(failed) = self.journal(&execution, kind).await else { return Ok(()) };
            let step = self.steps.get(index).map_or("", Defined::name);
            tracing::warn!(execution = %execution.id, step, %failed, "not journaled");
            drop(execution);
            self.not_superseded(step)?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Goes into the journal with the next intent.
    pub async fn keep(&self, kept: Option<(String, Value)>) {
        self.execution.lock().await.facts.extend(kept);
    }

    /// What is asked is asked again after a crash, so it may be lost.
    pub async fn ask(&self, question: Question) {
        let mut execution = self.execution.lock().await;
        execution.questions.retain(|it| it.step != question.step);
        execution.questions.push(question);
        execution.state = ExecutionState::Stuck;
        if let Err(failed) = self.journal(&execution, "execution-stuck").await {
            tracing::warn!(execution = %execution.id, %failed, "a question was not journaled");
            self.application.learn(|known| known.execution = Some(execution.clone()));
        }
    }

    pub async fn answered(&self, step: &str) {
        let mut execution = self.execution.lock().await;
        execution.questions.retain(|it| it.step != step);
        if execution.questions.is_empty() {
            execution.state = ExecutionState::Running;
        }
    }

    /// Waits for a person's word on the step, as long as no newer epoch comes.
    pub async fn word(&self, step: &str) -> Result<Word, Ended> {
        let id = self.execution.lock().await.id.clone();
        let words = &self.application.words;
        loop {
            if let Some(word) = words.take(&id, step) {
                return Ok(word);
            }
            self.not_superseded(step)?;
            tokio::select! {
                () = words.arrives() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Whether a person gave the whole execution up, while that can be.
    pub async fn not_given_up(&self) -> Result<(), Ended> {
        let id = self.execution.lock().await.id.clone();
        match self.application.words.take(&id, WHOLE).filter(|_| self.may_give_up()) {
            Some(word) => Err(Ended(format!("{} gave it up: {}", word.by.name, word.reason))),
            None => Ok(()),
        }
    }

    /// Resolves when a newer epoch came.
    pub async fn until_superseded(&self, step: &str) -> Ended {
        loop {
            if let Err(ended) = self.not_superseded(step) {
                return ended;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Invariant: nothing is done for an epoch when a newer one is known, or when another move has
    /// made it.
    pub fn not_superseded(&self, step: &str) -> Result<(), Ended> {
        match self.superseded() {
            Some(by) => Err(Ended(format!("{step}: {by} came first"))),
            None => Ok(()),
        }
    }

    fn superseded(&self) -> Option<&'static str> {
        let known = self.application.known();
        let record = known.facts.record.as_ref().map(|seen| &seen.record);
        let here = self.application.here();
        let others = |it: &&Record| it.epoch == self.epoch && !super::makes(self.kind, here, it);
        match record.filter(others) {
            _ if known.facts.highest > self.epoch => Some("a newer epoch"),
            Some(_) => Some("another move"),
            None => None,
        }
    }

    pub fn may_go_on(&self, step: &str, failed: &StepError) -> Result<(), Ended> {
        self.not_superseded(step)?;
        match self.may_give_up() {
            true => Err(Ended(format!("{step}: {failed}"))),
            false => Ok(()),
        }
    }

    /// Before the claim of a planned move the former active site can simply go on.
    pub fn may_give_up(&self) -> bool {
        let known = self.application.known();
        let claimed = known.facts.highest >= self.epoch || known.facts.claim_is_open();
        self.kind == ExecutionKind::Switchover && !claimed
    }

    /// Ends it; what was made is taken back where that can be, and the active site is told to go on.
    pub async fn give_up(&self, why: &str) {
        let application = &self.application;
        let execution = self.snapshot().await;
        let mut told = match self.superseded() {
            Some(by) => format!("{by} came first"),
            None => told_to_go_on(application, &execution).await,
        };
        application.learn(|known| known.facts.hold = None);
        if let Err(failed) = steps::pin::undo(application, &execution).await {
            told.push_str(&format!("; a slot pinned for the move was not dropped: {failed}"));
        }
        if self.kind == ExecutionKind::Switchover && self.superseded().is_none() {
            for failed in self.undo().await {
                told.push_str(&format!("; {failed}"));
            }
        }
        self.finish(ExecutionState::Aborted, Some(format!("{why}; {told}"))).await;
    }

    /// Takes back what a person's own steps did, the last first. Says what could not be.
    async fn undo(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (index, step) in self.steps.iter().enumerate().rev() {
            let Defined::Own(own) = step else { continue };
            let made = [StepState::Done, StepState::Intent, StepState::Failed];
            if !made.contains(&self.state_of(index).await) {
                continue;
            }
            if let Err(Ended(why)) = self.undo_one(index, own).await {
                failures.push(format!("{} was not taken back: {why}", own.name));
            }
        }
        failures
    }

    async fn undo_one(&self, index: usize, own: &Own) -> Result<(), Ended> {
        let execution = self.snapshot().await;
        let around = Around::new(&self.application, own, self.runbook, &execution);
        match own::undo(&around).await {
            None => Ok(()),
            Some(Ok(said)) => self.settle(index, StepState::Undone, said).await,
            Some(Err(why)) => Err(Ended(why.0)),
        }
    }

    pub async fn finish(&self, state: ExecutionState, reason: Option<String>) {
        let mut execution = self.execution.lock().await;
        execution.state = state;
        execution.questions.clear();
        execution.ended_micros = Some(unix_micros());
        if let Some(reason) = reason {
            execution.facts.insert("reason".to_owned(), json!(reason));
        }
        self.application.learn(|known| {
            known.facts.hold = None;
            // A person's word on the loss was for this execution.
            known.facts.order = None;
        });
        if let Err(why) = self.journal(&execution, "execution-ended").await {
            tracing::error!(execution = %execution.id, %why, "the end of an execution was not recorded");
        }
        let took = execution.ended_micros.unwrap_or_default() - execution.started_micros;
        tracing::info!(execution = %execution.id, ?state, took_ms = took / 1000, "execution ended");
    }

    /// The journal first, then the ledger; both durable. What it was pinned to is in the ledger once.
    async fn journal(&self, execution: &Execution, kind: &'static str) -> Result<(), AgentError> {
        self.application.keep_execution(execution).await?;
        let mut entered = execution.clone();
        if kind != "execution-begun" {
            entered.runbook = None;
        }
        self.application.enter(kind, json!({"execution": entered})).await
    }
}

fn note(execution: &mut Execution, index: usize, state: StepState, detail: String) {
    let Some(record) = execution.steps.get_mut(index) else { return };
    record.state = state;
    record.detail = detail;
    let now = Some(unix_micros());
    match state {
        StepState::Intent => record.started_micros = record.started_micros.or(now),
        _ => record.ended_micros = now,
    }
}

async fn told_to_go_on(application: &Application, execution: &Execution) -> String {
    let request = StepRequest {
        application: application.spec.name.clone(),
        execution: execution.id.clone(),
        epoch: application.known().facts.highest,
        to: execution.to.clone(),
        hold_ms: 0,
    };
    let active = execution.from.as_ref().and_then(|site| application.context.peers.get(site));
    let mut told = "the active site goes on".to_owned();
    if let (ExecutionKind::Switchover, Some(peer)) = (execution.kind, active) {
        let asked: Result<Done, _> = peer.post("/v1/peer/resume", &request, RESUME_TIMEOUT).await;
        if let Err(failed) = asked {
            told = format!("the active site goes on by itself when its hold ends ({failed})");
        }
    }
    told
}
