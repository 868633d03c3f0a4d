//! A person's pause of automatic failover.

use mainstay_core::{ApplicationName, Pause, SiteName};
use serde::{Deserialize, Serialize};

/// A person's word that no failover begins by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PauseView {
    pub by: String,
    /// Where it was asked for.
    pub site: SiteName,
    pub reason: String,
    pub since_micros: i64,
    /// It ends by itself after so many seconds.
    pub left_s: f64,
}

impl From<Pause> for PauseView {
    fn from(Pause { by, site, reason, since_micros, left }: Pause) -> Self {
        Self { by, site, reason, since_micros, left_s: left.as_secs_f64() }
    }
}

/// Body of `POST /v1/pause`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PauseRequest {
    pub application: Option<ApplicationName>,
    pub reason: String,
    pub for_s: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paused {
    pub application: ApplicationName,
    pub pause: PauseView,
}

/// Body of `POST /v1/resume`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResumeRequest {
    pub application: Option<ApplicationName>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resumed {
    pub application: ApplicationName,
    /// The pause that this ended; none when there was none.
    pub was: Option<PauseView>,
}
