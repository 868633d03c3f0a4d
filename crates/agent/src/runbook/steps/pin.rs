//! Pinning the start of the reverse link, before this site accepts its first write: what the other
//! site will need to come back without a copy.

use crate::act::links;
use crate::application::Application;
use crate::runbook::{Step, StepError};
use crate::types::{Execution, StepState};
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::{SiteName, StoreName};
use serde_json::json;
use std::sync::Arc;

/// Fact that says that slots found now were made by this execution, not left from before.
const BEGUN: &str = "pin_begun";

pub async fn make(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let begun = execution.facts.contains_key(BEGUN);
    if !begun {
        execution.facts.insert(BEGUN.to_owned(), json!(true));
        application.keep_execution(execution).await.map_err(StepError::new)?;
    }
    let stores = &application.context.stores;
    let mut words = Vec::new();
    for Pin { store, other, slot, endpoint } in pins(application, execution) {
        if !begun {
            stores.drop_slot(&endpoint, &slot).await.map_err(StepError::new)?;
        }
        let at = stores.pin(&endpoint, &slot).await.map_err(StepError::new)?;
        words.push(format!("{store}: the link to {other} will begin at {at}"));
    }
    Ok(words.join("; "))
}

/// Gives the pinned slots up again, when the move was given up: a slot that nobody reads keeps the
/// write-ahead log for ever. Says what could not be dropped. Once the databases may have been opened
/// they stay: they hold what only this site accepted.
pub async fn undo(application: &Arc<Application>, execution: &Execution) -> Result<(), StepError> {
    if !execution.facts.contains_key(BEGUN) || may_be_open(execution) {
        return Ok(());
    }
    let stores = &application.context.stores;
    for Pin { slot, endpoint, .. } in pins(application, execution) {
        stores.drop_slot(&endpoint, &slot).await.map_err(StepError::new)?;
    }
    Ok(())
}

fn may_be_open(execution: &Execution) -> bool {
    let promote = execution.steps.iter().find(|step| step.name == Step::Promote.name());
    promote.is_some_and(|step| step.state != StepState::Pending)
}

/// A slot of this site in which the changes for another one wait.
struct Pin {
    store: StoreName,
    other: SiteName,
    slot: String,
    endpoint: PostgresEndpoint,
}

fn pins(application: &Application, execution: &Execution) -> Vec<Pin> {
    let here = application.here();
    let others = application.rules.data_sites.iter().filter(|site| *site != here);
    let specs = others.flat_map(|other| {
        let stores = application.spec.stores.keys();
        stores.filter_map(|store| links::spec(application, store, here, other, execution.epoch))
    });
    specs
        .map(|spec| Pin {
            slot: spec.slot(),
            store: spec.store,
            other: spec.to,
            endpoint: spec.source,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ExecutionKind, ExecutionState, StepRecord};
    use mainstay_core::{ApplicationName, Epoch};
    use std::collections::BTreeMap;

    #[test]
    fn slots_stay_from_when_the_databases_may_have_been_opened() {
        let at = |state| Execution {
            id: "bank-2-failover".to_owned(),
            application: ApplicationName::new("bank").unwrap(),
            kind: ExecutionKind::Failover,
            epoch: Epoch::new(2),
            from: None,
            to: SiteName::new("west").unwrap(),
            state: ExecutionState::Running,
            requested_by: String::new(),
            started_micros: 0,
            ended_micros: None,
            steps: [Step::Pin, Step::Promote]
                .map(|step| StepRecord {
                    name: step.name().to_owned(),
                    state: if step == Step::Pin { StepState::Done } else { state },
                    started_micros: None,
                    ended_micros: None,
                    detail: String::new(),
                })
                .into(),
            facts: BTreeMap::new(),
            runbook: None,
            questions: Vec::new(),
        };
        assert!(!may_be_open(&at(StepState::Pending)));
        for state in [StepState::Intent, StepState::Failed, StepState::Done] {
            assert!(may_be_open(&at(state)), "{state:?}");
        }
    }
}
