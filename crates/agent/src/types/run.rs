//! What people answer an execution that waits for them.

use crate::runbook::words::{Answer, Heard};
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/run`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRequest {
    /// The newest that waits when left out.
    pub execution: Option<String>,
    /// The one that waits; needed when there are several.
    pub step: Option<String>,
    pub answer: Answer,
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunAnswered {
    pub execution: String,
    pub step: String,
    pub answer: Answer,
    pub heard: Heard,
}
