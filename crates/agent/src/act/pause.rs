//! Entering a person's pause in the record, or its end.

use crate::application::Application;
use crate::coordinator::CoordinatorError;
use crate::observe::record::take;
use crate::time::tick;
use mainstay_core::Pause;

/// The active site renews once a second; so often in a row it is not in the way.
const TRIES: usize = 8;

/// Sets or ends the pause, at whichever site, and returns the one before. It is done when the
/// record is read with it, so that a lost answer does no harm.
pub async fn set(
    application: &Application,
    pause: Option<&Pause>,
) -> Result<Option<Pause>, CoordinatorError> {
    let (coordinator, name) = (&application.context.coordinator, &application.spec.name);
    let mut former = None;
    let mut failed = CoordinatorError::Silent("others changed the record each time".to_owned());
    for _ in 0..TRIES {
        let sent = tick();
        let current = coordinator.read(name).await?;
        take(application, current.clone(), sent).await;
        let record = current.record.as_ref().ok_or_else(nothing_agreed)?;
        let former = former.get_or_insert_with(|| record.pause.as_deref().cloned());
        if is_same(record.pause.as_deref(), pause) {
            return Ok(former.take());
        }
        let next = record.with_pause(pause.cloned());
        if let Err(why) = coordinator.swap(name, &current, &next).await {
            failed = why;
        }
    }
    Err(failed)
}

fn nothing_agreed() -> CoordinatorError {
    CoordinatorError::Refused("no site is active yet".to_owned())
}

fn is_same(one: Option<&Pause>, other: Option<&Pause>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
