//! The kinds of step that a person can write, a file each. Each kind looks at the world, makes its
//! effect, takes it back where that can be, and says beforehand what is missing.

mod call;
mod deploy;
mod repoint;
mod run;
mod verify;
mod warm;

use super::StepError;
use super::definition::{Own, own_steps};
use crate::application::Application;
use crate::outside::program::Program;
use crate::time::unix_micros;
use crate::types::Execution;
use mainstay_core::runbook::{RunbookName, Work};
use mainstay_core::{Epoch, Secret, SiteName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the world says of an effect whose outcome is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// It is there.
    Done(String),
    /// It is not there, or making it again changes nothing.
    NotDone,
    /// Only a person can tell.
    Unknown(String),
}

/// One step and what surrounds it.
pub struct Around<'a> {
    pub application: &'a Application,
    pub own: &'a Own,
    environment: BTreeMap<String, Secret>,
    execution: String,
    pub epoch: Epoch,
    from: Option<SiteName>,
    pub to: SiteName,
    started_micros: Option<i64>,
    /// What the step kept before it was made for the first time.
    kept: Option<Value>,
}

impl<'a> Around<'a> {
    pub fn new(
        application: &'a Application,
        own: &'a Own,
        runbook: RunbookName,
        execution: &Execution,
    ) -> Self {
        let record = execution.steps.iter().find(|it| it.name == own.name);
        let mut configured = own_steps(&application.spec, runbook).iter();
        let configured = configured.find(|it| it.name == own.name);
        Self {
            application,
            own,
            environment: configured.map(|it| it.environment.clone()).unwrap_or_default(),
            execution: execution.id.clone(),
            epoch: execution.epoch,
            from: execution.from.clone(),
            to: execution.to.clone(),
            started_micros: record.and_then(|it| it.started_micros),
            kept: execution.facts.get(&kept_of(&own.name)).cloned(),
        }
    }

    /// What names the effect: the same whenever it is made again.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.execution, self.own.name, self.epoch)
    }

    /// The text with what its placeholders stand for.
    pub fn fill(&self, text: &str) -> String {
        let named = [
            ("{from}", self.from.as_ref().map_or_else(String::new, ToString::to_string)),
            ("{to}", self.to.to_string()),
            ("{epoch}", self.epoch.to_string()),
            ("{application}", self.application.spec.name.to_string()),
            ("{execution}", self.execution.clone()),
            ("{key}", self.key()),
        ];
        let filled = named.iter().fold(text.to_owned(), |text, (name, it)| text.replace(name, it));
        let gate = self.application.spec.gates.get(&self.to);
        let stores = gate.into_iter().flat_map(|gate| &gate.stores);
        stores.fold(filled, |text, (store, at)| {
            text.replace(&format!("{{gate.{store}}}"), &at.to_string())
        })
    }

    fn program(&self, words: &[String]) -> Program<'_> {
        let words = words.iter().map(|word| self.fill(word)).collect();
        Program { words, environment: &self.environment }
    }

    fn timeout(&self) -> Duration {
        self.own.settings.timeout
    }
}

fn kept_of(step: &str) -> String {
    format!("kept_by_{step}")
}

/// Whether the effect of an earlier try is there.
pub async fn look(around: &Around<'_>) -> Looked {
    match &around.own.work {
        Work::Run(run) => run::look(around, run, run.repeatable).await,
        Work::Scale(run) => run::look(around, run, true).await,
        Work::Http(call) => call::look(call),
        _ => Looked::NotDone,
    }
}

/// What has to be durable, by its name, before the step is made for the first time.
pub async fn keep(around: &Around<'_>) -> Result<Option<(String, Value)>, StepError> {
    match &around.own.work {
        Work::Repoint(repoint) if around.kept.is_none() => {
            let before = repoint::before(around, repoint).await?;
            Ok(Some((kept_of(&around.own.name), json!(before))))
        }
        _ => Ok(None),
    }
}

pub async fn make(around: &Around<'_>) -> Result<String, StepError> {
    match &around.own.work {
        Work::Run(run) | Work::Scale(run) => run::make(around, run).await,
        Work::Http(call) => call::make(around, call).await,
        Work::Repoint(repoint) => repoint::make(around, repoint).await,
        Work::Warm(warm) => warm::make(around, warm).await,
        Work::Verify(check) => verify::make(around, check).await,
        Work::Deploy(deploy) => deploy::make(around, deploy).await,
        Work::Wait { span } => {
            tokio::time::sleep(left(around.started_micros, *span)).await;
            Ok(format!("{span:?} are over"))
        }
        Work::Notify { message } => {
            let message = around.fill(message);
            let body = json!({"message": message, "key": around.key()});
            around.application.enter("notice", body).await.map_err(StepError::new)?;
            Ok(format!("told: {message}"))
        }
        Work::Approve { .. } => Err(StepError::new("only a person makes this step")),
    }
}

/// After a crash only the rest is waited.
fn left(started_micros: Option<i64>, span: Duration) -> Duration {
    let passed = started_micros.map_or(0, |started| unix_micros().saturating_sub(started));
    span.saturating_sub(Duration::from_micros(u64::try_from(passed).unwrap_or(0)))
}

/// Takes the effect back; none where that cannot be. Safe to make twice.
pub async fn undo(around: &Around<'_>) -> Option<Result<String, StepError>> {
    match &around.own.work {
        Work::Run(run) | Work::Scale(run) if !run.undo.is_empty() => {
            Some(run::undo(around, run).await)
        }
        Work::Repoint(repoint) => {
            let before = serde_json::from_value(around.kept.clone()?).ok()?;
            Some(repoint::undo(around, repoint, before).await)
        }
        _ => None,
    }
}

/// Why the step would fail now. Nothing is touched.
pub async fn missing(around: &Around<'_>) -> Vec<String> {
    match &around.own.work {
        Work::Run(run) | Work::Scale(run) => programs(&[&run.command, &run.probe, &run.undo]),
        Work::Http(call) => call::missing(around, call).await,
        Work::Repoint(repoint) => repoint::missing(around, repoint),
        Work::Warm(warm) => warm::missing(warm),
        Work::Verify(check) => verify::missing(around, check),
        Work::Deploy(deploy) => deploy::missing(around, deploy).await,
        Work::Wait { .. } | Work::Approve { .. } | Work::Notify { .. } => Vec::new(),
    }
}

fn programs(commands: &[&Vec<String>]) -> Vec<String> {
    let named = commands.iter().filter_map(|words| words.first());
    named.filter_map(|program| crate::outside::program::cannot_start(program)).collect()
}

/// What the step does, in words, with what its placeholders stand for.
pub fn what(around: &Around<'_>) -> String {
    let words = |words: &[String]| around.program(words).words.join(" ");
    match &around.own.work {
        Work::Run(run) | Work::Scale(run) => words(&run.command),
        Work::Http(call) => format!("{} {}{}", call.method, call.address, around.fill(&call.path)),
        Work::Repoint(repoint) => {
            let names: Vec<&str> = repoint.variables.keys().map(String::as_str).collect();
            format!("write {} in {}", names.join(", "), around.fill(&repoint.file))
        }
        Work::Warm(warm) => format!("ask {} for each line of {}", warm.address, warm.list),
        Work::Verify(check) => verify::what(around, check),
        Work::Deploy(deploy) => {
            format!("refuse unless {} and {} agree", words(&deploy.version), words(&deploy.wanted))
        }
        Work::Wait { span } => format!("wait {span:?}"),
        Work::Approve { question } => format!("ask an approver: {}", around.fill(question)),
        Work::Notify { message } => format!("tell: {}", around.fill(message)),
    }
}

/// How the step is taken back; none where it is not.
pub fn undoes(work: &Work) -> Option<String> {
    match work {
        Work::Run(run) | Work::Scale(run) if !run.undo.is_empty() => Some(run.undo.join(" ")),
        Work::Repoint(_) => Some("the values from before are written again".to_owned()),
        _ => None,
    }
}
