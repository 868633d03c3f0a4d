//! A gate that starts takes the ports over from the one that runs, so that a new configuration or
//! a new version of Mainstay costs no connection: the listening sockets themselves are passed, with
//! the connections that wait in them. The older gate stops accepting once the younger one has heard
//! from the agent, and ends with its last connection.
//!
//! Until then the younger one passes on what the agent says, and adds what the older one still has
//! to its own reports: to the agent the two are one gate.
//!
//! Invariant: what the older gate still does ends with the posture, as everything does: it hears
//! each directive, and lapses when it hears none.

mod give;
mod sockets;
mod take;

pub use give::{Giver, give};
pub use take::{Elder, take};

use crate::control::Directive;
use mainstay_core::ApplicationName;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the younger gate says, a line each. The older one answers with its reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// Do this, as the agent says.
    Directive(Directive),
    /// The younger one accepts: the older one is to stop.
    Ready,
}

/// Where the running gate of an application hands its ports over.
fn path(state_dir: &Path, application: &ApplicationName) -> PathBuf {
    state_dir.join(format!("{application}.gate"))
}
