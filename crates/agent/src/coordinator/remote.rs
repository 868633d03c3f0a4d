//! The coordinator in another site's agent.

use super::{CoordinatorError, Swap, Versioned};
use crate::peer::{Peer, PeerError};
use mainstay_core::{ApplicationName, Record};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Well under the renewal's period, so that a lost packet costs one renewal and not the lease.
const TIMEOUT: Duration = Duration::from_millis(900);

pub struct Remote {
    peer: Arc<Peer>,
}

/// `POST /v1/coordinator/{application}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SwapRequest {
    pub expected: Versioned,
    pub next: Record,
}

impl Remote {
    pub fn new(peer: Arc<Peer>) -> Self {
        Self { peer }
    }

    pub async fn read(&self, application: &ApplicationName) -> Result<Versioned, CoordinatorError> {
        self.peer.get(&path(application), TIMEOUT).await.map_err(failed)
    }

    pub async fn swap(
        &self,
        application: &ApplicationName,
        expected: &Versioned,
        next: &Record,
    ) -> Result<Swap, CoordinatorError> {
        let request = SwapRequest { expected: expected.clone(), next: next.clone() };
        self.peer.post(&path(application), &request, TIMEOUT).await.map_err(failed)
    }
}

fn path(application: &ApplicationName) -> String {
    format!("/v1/coordinator/{application}")
}

fn failed(why: PeerError) -> CoordinatorError {
    match why {
        PeerError::NoAnswer { .. } => CoordinatorError::Silent(why.to_string()),
        PeerError::Refused(refused) => CoordinatorError::Refused(refused.message),
    }
}
