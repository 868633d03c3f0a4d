//! Opening this site's databases for the application: the point of no return.

use super::drain::{applied_of, position};
use super::from;
use crate::act::{databases, links};
use crate::application::Application;
use crate::runbook::StepError;
use crate::types::{Execution, ExecutionKind};
use mainstay_core::Position;
use mainstay_stores::postgres::sequences::HEADROOM;
use mainstay_stores::redis;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub async fn make(
    application: &Arc<Application>,
    execution: &Execution,
) -> Result<String, StepError> {
    let mut words = Vec::new();
    if execution.kind == ExecutionKind::Failover {
        let former = from(execution)?;
        let headroom = headroom(&execution.facts, application.rules.rpo + application.spec.lease);
        let here = application.here();
        for store in application.spec.stores.keys() {
            let Some(spec) = links::spec(application, store, former, here, execution.epoch) else {
                // Only PostgreSQL has sequences.
                continue;
            };
            let stores = &application.context.stores;
            let bumped = stores.bump_sequences(&spec.target, &spec.name(), headroom).await;
            let bumped = bumped.map_err(StepError::new)?;
            words.push(format!("{store}: {} sequences moved on by {headroom}", bumped.moved));
            words.extend(bumped.findings.iter().map(|finding| finding.what.clone()));
        }
    }
    end_links(application, execution).await?;
    databases::open(application, execution.epoch).await.map_err(StepError::new)?;
    let mut epochs = application.epochs();
    epochs.promoted = execution.epoch;
    application.remember(epochs).await.map_err(StepError::new)?;
    words.push(format!("databases accept writes in epoch {}", execution.epoch));
    Ok(words.join("; "))
}

/// A Redis server that is written to has left the history of its source. A PostgreSQL database knows
/// its histories by itself.
async fn end_links(application: &Application, execution: &Execution) -> Result<(), StepError> {
    let (here, former) = (application.here(), from(execution)?);
    for store in application.spec.stores.keys() {
        let link = links::redis_spec(application, store, former, here, execution.epoch);
        let reached = position(execution, &applied_of(store));
        if let (Some(link), Some(Position::Redis(reached))) = (link, reached) {
            redis::reached::leave(&link, reached).await.map_err(StepError::new)?;
        }
    }
    Ok(())
}

/// How far a sequence jumps beyond the last value that was seen of it. Keys that are issued again
/// would stand in the way of the salvage. So where a person accepts that more is lost than a
/// failover may lose by itself, each second more adds as much again.
fn headroom(facts: &BTreeMap<String, Value>, usual: Duration) -> i64 {
    let lost = facts.get("loss_bound_s").and_then(Value::as_f64);
    let over = (lost.unwrap_or_default() - usual.as_secs_f64()).max(0.0).ceil();
    // The cast stops at the largest number.
    HEADROOM.saturating_mul((over as i64).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_more_may_be_lost_the_further_sequences_jump_and_never_less_than_usual() {
        let usual = Duration::from_secs(11);
        let jump = |facts: Value| headroom(&serde_json::from_value(facts).unwrap(), usual);
        assert_eq!(jump(json!({})), HEADROOM);
        assert_eq!(jump(json!({ "loss_bound_s": 5.0 })), HEADROOM);
        assert_eq!(jump(json!({ "loss_bound_s": 96.5 })), 87 * HEADROOM);
        assert_eq!(jump(json!({ "loss_bound_s": 1e300 })), i64::MAX);
    }
}
