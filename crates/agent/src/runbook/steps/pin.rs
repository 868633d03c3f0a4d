//! Pinning the start of the reverse link, before this site accepts its first write: what the other
//! site will need to come back without a copy.

use crate::act::{databases, links};
use crate::api::types::Execution;
use crate::application::Application;
use crate::runbook::StepError;
use mainstay_stores::postgres::slot;
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
    let others = application.rules.data_sites.iter().filter(|site| *site != application.here());
    let mut words = Vec::new();
    for other in others {
        for (store, _, endpoint) in databases::here(application) {
            let here = application.here();
            let Some(spec) = links::spec(application, store, here, other, execution.epoch) else {
                continue;
            };
            let name = spec.slot();
            if !begun {
                slot::drop_slot(endpoint, &name).await.map_err(StepError::new)?;
            }
            let at = slot::pin(endpoint, &name).await.map_err(StepError::new)?;
            words.push(format!("{store}: the link to {other} will begin at {at}"));
        }
    }
    Ok(words.join("; "))
}
