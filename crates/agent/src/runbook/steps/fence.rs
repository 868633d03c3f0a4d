//! Making sure that the failed site accepts no more writes. The lease has run out, which needs
//! nothing of the failed site; if its databases still answer, they are fenced as well.

use super::from;
use crate::api::types::Execution;
use crate::application::Application;
use crate::runbook::StepError;
use mainstay_core::estate::StoreKind;
use mainstay_core::receipt::Confirmation;
use mainstay_core::{Position, Receipt};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A site that is gone must not cost recovery time.
const PATIENCE: Duration = Duration::from_millis(700);

pub async fn make(
    application: &Arc<Application>,
    execution: &mut Execution,
) -> Result<String, StepError> {
    let failed = from(execution)?.clone();
    let waited = execution.facts.get("lease_waited_ms").and_then(serde_json::Value::as_u64);
    let mut confirmed: Vec<Confirmation> =
        waited.map(|waited_ms| Confirmation::LeaseRunOut { waited_ms }).into_iter().collect();
    let mut words = match waited {
        Some(ms) => format!("the lease of {failed} ran out: {:.1} s without a renewal", secs(ms)),
        None => format!("the lease of {failed} had run out before this agent's restart"),
    };
    for (store, kind) in application.spec.stores.iter().map(|(name, it)| (name, &it.kind)) {
        let StoreKind::Postgres(postgres) = kind;
        let Some(endpoint) = postgres.endpoints.get(&failed) else { continue };
        let stores = &application.context.stores;
        let fencing = stores.fence(endpoint, &postgres.roles, execution.epoch, PATIENCE);
        match tokio::time::timeout(PATIENCE, fencing).await {
            Ok(Ok(done)) => {
                words.push_str(&format!("; its {store} still answered and is fenced"));
                confirmed.push(Confirmation::Database {
                    sessions_cut: done.sessions_cut,
                    position: Some(Position::Postgres(done.position)),
                });
                let key = format!("end_of_{store}");
                execution.facts.insert(key, json!(Position::Postgres(done.position)));
            }
            Ok(Err(_)) | Err(_) => words.push_str(&format!("; its {store} does not answer")),
        }
    }
    let receipt = Receipt {
        fenced: failed,
        epoch: super::ends(execution),
        by: application.here().clone(),
        confirmed,
    };
    execution.facts.insert("receipt".to_owned(), json!(receipt));
    Ok(words)
}

fn secs(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}
