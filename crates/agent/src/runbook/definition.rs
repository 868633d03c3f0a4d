//! What a runbook consists of: the built-in steps, and what a person's configuration adds to them.

use super::{Step, steps_of};
use crate::types::ExecutionKind;
use mainstay_core::SiteName;
use mainstay_core::estate::Application;
use mainstay_core::runbook::{OwnStep, Place, RunbookName, Settings, Work};
use serde::{Deserialize, Serialize};

/// One step of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defined {
    BuiltIn(Step),
    Own(Box<Own>),
}

/// What a person wrote, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Own {
    pub name: String,
    pub work: Work,
    pub settings: Settings,
}

/// What an execution was pinned to when it began: it is carried through like this, also when the
/// configuration is changed and the agent restarted meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    pub name: RunbookName,
    /// Of the steps.
    pub hash: String,
    /// Of all that the configuration says of the application, without secrets.
    pub configuration: String,
    pub rto_s: f64,
    pub steps: Vec<Defined>,
}

impl Defined {
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(step) => step.name(),
            Self::Own(own) => &own.name,
        }
    }

    /// Whether it is made side by side with the one before it.
    fn joins(&self, before: &Self) -> bool {
        let group = |it: &Self| match it {
            Self::BuiltIn(_) => None,
            Self::Own(own) => own.settings.group.clone(),
        };
        group(self).is_some_and(|it| group(before) == Some(it))
    }
}

/// The runbook of a move to that site.
pub fn runbook_of(spec: &Application, kind: ExecutionKind, to: &SiteName) -> RunbookName {
    match kind {
        ExecutionKind::Failover => RunbookName::Failover,
        ExecutionKind::Switchover if *to == spec.home => RunbookName::Failback,
        ExecutionKind::Switchover => RunbookName::Switchover,
    }
}

pub fn pin(spec: &Application, name: RunbookName) -> Pinned {
    let steps = steps(spec, name);
    Pinned {
        name,
        hash: short_hash(&serde_json::to_string(&steps).unwrap_or_default()),
        // A secret shows nothing of itself there.
        configuration: short_hash(&format!("{spec:?}")),
        rto_s: spec.objectives.rto.as_secs_f64(),
        steps,
    }
}

pub fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().as_str().chars().take(16).collect()
}

/// Runs of steps that are made side by side, as ranges of indices.
pub fn groups(steps: &[Defined]) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let joins = index.checked_sub(1).and_then(|before| steps.get(before));
        match groups.last_mut() {
            Some(last) if joins.is_some_and(|before| step.joins(before)) => last.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

/// The built-in steps with a person's own among them, those of one place in the order of the file.
pub fn steps(spec: &Application, name: RunbookName) -> Vec<Defined> {
    let mut all: Vec<(Defined, Option<&Place>)> =
        steps_of(name).iter().map(|step| (Defined::BuiltIn(*step), None)).collect();
    for own in own_steps(spec, name) {
        let at = |anchor: &str| all.iter().position(|(step, _)| step.name() == anchor);
        let defined = Defined::Own(Box::new(Own {
            name: own.name.clone(),
            work: own.work.clone(),
            settings: own.settings.clone(),
        }));
        let index = match &own.place {
            Place::Before(anchor) => at(anchor),
            Place::After(anchor) => at(anchor).map(|index| {
                let after = all.iter().skip(index + 1);
                index + 1 + after.take_while(|(_, place)| *place == Some(&own.place)).count()
            }),
            Place::Instead(anchor) => at(anchor).inspect(|index| {
                all.remove(*index);
            }),
        };
        // The check of the configuration lets no other place pass.
        all.insert(index.unwrap_or(all.len()), (defined, Some(&own.place)));
    }
    all.into_iter().map(|(step, _)| step).collect()
}

/// A failback has the steps of a switchover, unless it has its own.
pub fn own_steps(spec: &Application, name: RunbookName) -> &[OwnStep] {
    let of = |name| spec.runbooks.get(&name).map(Vec::as_slice);
    let own = match name {
        RunbookName::Failback => of(name).or_else(|| of(RunbookName::Switchover)),
        _ => of(name),
    };
    own.unwrap_or_default()
}
