//! Asking the application through the gate, and writing to each database.

use crate::application::Application;
use crate::runbook::StepError;
use crate::time::tick;
use crate::types::Execution;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

pub async fn make(
    application: &Arc<Application>,
    _execution: &Execution,
) -> Result<String, StepError> {
    for (store, at) in application.stores_here() {
        at.write(application.context.stores.as_ref())
            .await
            .map_err(|why| StepError::new(format!("{store} takes no write: {why}")))?;
    }
    let gate = application.spec.gates.get(application.here());
    let Some(http) = gate.and_then(|gate| gate.http.as_ref()) else {
        return Ok("every database takes writes".to_owned());
    };
    // The application reconnects to its database in its own time.
    let begun = tick();
    loop {
        match application.context.probes.http((application.here(), http), TIMEOUT).await {
            Ok(_) => {
                return Ok("the application answers, and every database takes writes".to_owned());
            }
            Err(why) if tick().since(begun) > PATIENCE => return Err(StepError::new(why)),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
