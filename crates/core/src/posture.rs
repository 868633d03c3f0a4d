//! How a site's gate treats the application's traffic.

use crate::{SiteName, Tick};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Posture {
    /// Lead to this site's application and stores. Lapses to closed at `until`, on the gate's own
    /// reading of the clock, so that a paused or dead agent cannot keep a gate open.
    Serve { until: Tick },
    /// Lead to the active site's gate.
    Forward { to: SiteName },
    /// Let what is under way finish, and hold what comes new, at most until `until`.
    Hold { until: Tick },
    /// Cut what is open, and hold what comes new for the gate's hold time.
    Closed { reason: String },
}

impl Posture {
    pub fn name(&self) -> &'static str {
        match self {
            Posture::Serve { .. } => "serve",
            Posture::Forward { .. } => "forward",
            Posture::Hold { .. } => "hold",
            Posture::Closed { .. } => "closed",
        }
    }
}
