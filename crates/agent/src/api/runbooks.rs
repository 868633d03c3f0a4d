//! The runbooks of each application, as they would be run from here.

use crate::agent::Agent;
use crate::application::Application;
use crate::runbook::own::{self, Around};
use crate::runbook::{Defined, Own, pin, planned};
use crate::types::{Execution, ExecutionKind, RunbookView, StepView};
use mainstay_core::runbook::RunbookName;

pub fn all(agent: &Agent) -> Vec<RunbookView> {
    agent.applications.values().flat_map(|application| of(application)).collect()
}

fn of(application: &Application) -> Vec<RunbookView> {
    let mut all: Vec<RunbookView> =
        RunbookName::ALL.into_iter().map(|name| one(application, name)).collect();
    all.push(rejoin(application));
    all
}

fn one(application: &Application, name: RunbookName) -> RunbookView {
    let kind = match name {
        RunbookName::Failover => ExecutionKind::Failover,
        RunbookName::Switchover | RunbookName::Failback => ExecutionKind::Switchover,
    };
    let (pinned, execution) = (pin(&application.spec, name), planned(application, kind));
    let view = |step: &Defined| match step {
        Defined::BuiltIn(step) => StepView {
            name: step.name().to_owned(),
            kind: "built-in".to_owned(),
            what: step.what().to_owned(),
            condition: None,
            group: None,
            timeout_s: None,
            tries: None,
            optional: false,
            undo: step.undo().map(str::to_owned),
            point_of_no_return: step.is_point_of_no_return(),
        },
        Defined::Own(step) => written(application, name, &execution, step),
    };
    RunbookView {
        application: application.spec.name.clone(),
        name: name.to_string(),
        hash: Some(pinned.hash),
        steps: pinned.steps.iter().map(view).collect(),
    }
}

fn written(
    application: &Application,
    runbook: RunbookName,
    execution: &Execution,
    step: &Own,
) -> StepView {
    let settings = &step.settings;
    let to = settings.to.as_ref().map(|to| format!("only in moves to {to}"));
    let needs = (!settings.needs.is_empty())
        .then(|| format!("only after {}", settings.needs.join(" and ")));
    let condition: Vec<String> = to.into_iter().chain(needs).collect();
    StepView {
        name: step.name.clone(),
        kind: step.work.kind().to_owned(),
        what: own::what(&Around::new(application, step, runbook, execution)),
        condition: (!condition.is_empty()).then(|| condition.join(", ")),
        group: settings.group.clone(),
        timeout_s: Some(settings.timeout.as_secs_f64()),
        tries: Some(settings.tries),
        optional: settings.optional,
        undo: own::undoes(&step.work),
        point_of_no_return: false,
    }
}

/// The way back of a site that was failed over from begins by itself, at that site.
fn rejoin(application: &Application) -> RunbookView {
    let steps = [
        ("fence", "keep the returning site's databases fenced"),
        ("salvage", "keep what only the returning site had, here and at the active site"),
        ("put-right", "make the rows that it names what they are at the active site"),
        ("stream", "have the link bring what happened since"),
        ("compare", "prove both sites equal at a position"),
    ];
    let step = |(name, what): (&str, &str)| StepView {
        name: name.to_owned(),
        kind: "built-in".to_owned(),
        what: what.to_owned(),
        condition: None,
        group: None,
        timeout_s: None,
        tries: None,
        optional: false,
        undo: None,
        point_of_no_return: false,
    };
    RunbookView {
        application: application.spec.name.clone(),
        name: "rejoin".to_owned(),
        hash: None,
        steps: steps.into_iter().map(step).collect(),
    }
}
