//! The steps, one file each. Each returns in words what it did and how that was confirmed.

pub mod check;
pub mod claim;
pub mod drain;
pub mod fence;
pub mod hand_over;
pub mod hold;
pub mod pin;
pub mod promote;
pub mod route;
pub mod verify;

use super::StepError;
use crate::application::Application;
use crate::peer::Peer;
use crate::peer::messages::StepRequest;
use crate::types::Execution;
use mainstay_core::{Epoch, SiteName};
use std::sync::Arc;
use std::time::Duration;

/// How long the active site holds before it takes over again by itself.
pub(crate) const HOLD: Duration = Duration::from_secs(10);

fn from(execution: &Execution) -> Result<&SiteName, StepError> {
    execution.from.as_ref().ok_or_else(|| StepError::new("nobody was active before"))
}

fn peer<'a>(application: &'a Application, site: &SiteName) -> Result<&'a Arc<Peer>, StepError> {
    let peer = application.context.peers.get(site);
    peer.ok_or_else(|| StepError::new(format!("{site} is not a site of the configuration")))
}

/// The epoch that a planned move ends.
fn ends(execution: &Execution) -> Epoch {
    Epoch::new(execution.epoch.number().saturating_sub(1))
}

fn request(application: &Application, execution: &Execution) -> StepRequest {
    StepRequest {
        application: application.spec.name.clone(),
        execution: execution.id.clone(),
        epoch: ends(execution),
        to: execution.to.clone(),
        hold_ms: HOLD.as_millis().try_into().unwrap_or(u64::MAX),
    }
}
