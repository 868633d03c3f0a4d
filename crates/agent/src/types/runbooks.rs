//! The runbooks of an application, as they would be run.

use mainstay_core::ApplicationName;
use serde::{Deserialize, Serialize};

/// `GET /v1/runbooks`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunbookView {
    pub application: ApplicationName,
    pub name: String,
    /// Of its steps; none where nobody can add to them.
    pub hash: Option<String>,
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepView {
    pub name: String,
    /// `built-in`, or what a person's step is.
    pub kind: String,
    pub what: String,
    /// When it is made; always when left out.
    pub condition: Option<String>,
    pub group: Option<String>,
    /// Each try; a built-in step has bounds of its own.
    pub timeout_s: Option<f64>,
    /// Until a person is asked; a built-in step is tried again by itself.
    pub tries: Option<u32>,
    /// The execution goes on without it.
    pub optional: bool,
    pub undo: Option<String>,
    pub point_of_no_return: bool,
}
