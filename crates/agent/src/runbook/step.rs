//! The steps by name, and the order in which a runbook holds them.

use super::steps;
use crate::application::Application;
use crate::types::Execution;
use mainstay_core::runbook::RunbookName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Check,
    Hold,
    Fence,
    HandOver,
    Drain,
    DrainToEnd,
    Pin,
    Claim,
    Promote,
    Route,
    Verify,
}

/// Why a step did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

impl StepError {
    pub fn new(why: impl ToString) -> Self {
        Self(why.to_string())
    }
}

const FAILOVER: [Step; 6] =
    [Step::Fence, Step::Drain, Step::Pin, Step::Promote, Step::Route, Step::Verify];

const SWITCHOVER: [Step; 9] = [
    Step::Check,
    Step::Hold,
    Step::HandOver,
    Step::DrainToEnd,
    Step::Pin,
    Step::Claim,
    Step::Promote,
    Step::Route,
    Step::Verify,
];

/// What a runbook holds before anybody added to it.
pub fn steps_of(runbook: RunbookName) -> &'static [Step] {
    match runbook {
        RunbookName::Failover => &FAILOVER,
        RunbookName::Switchover | RunbookName::Failback => &SWITCHOVER,
    }
}

/// Who may have a step left out that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    Anybody,
    /// One asks, and an approver who is somebody else says so too.
    Two,
    Nobody,
}

impl Step {
    pub const ALL: [Step; 11] = [
        Step::Check,
        Step::Hold,
        Step::Fence,
        Step::HandOver,
        Step::Drain,
        Step::DrainToEnd,
        Step::Pin,
        Step::Claim,
        Step::Promote,
        Step::Route,
        Step::Verify,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Step::Check => "check",
            Step::Hold => "hold",
            Step::Fence => "fence",
            Step::HandOver => "hand-over",
            Step::Drain => "drain",
            Step::DrainToEnd => "drain-to-end",
            Step::Pin => "pin",
            Step::Claim => "claim",
            Step::Promote => "promote",
            Step::Route => "route",
            Step::Verify => "verify",
        }
    }

    /// What it does, for a plan.
    pub fn what(self) -> &'static str {
        match self {
            Step::Check => "look whether the link is complete and every agent answers",
            Step::Hold => "hold new requests at every gate; let those under way finish",
            Step::Fence => {
                "make sure that the failed site accepts no more writes; keep the receipt"
            }
            Step::HandOver => "fence the active site's databases and note where they ended",
            Step::Drain => "apply everything that has arrived",
            Step::DrainToEnd => "apply everything up to the noted end; copy the sequences exactly",
            Step::Pin => "pin the start of the reverse link",
            Step::Claim => "take over the handed-over right to write: the next epoch",
            Step::Promote => "open this site's databases for the application",
            Step::Route => "lead the traffic here through the gate",
            Step::Verify => "ask the application through the gate, and write to the database",
        }
    }

    /// After it there is only forward.
    pub fn is_point_of_no_return(self) -> bool {
        self == Step::Promote
    }

    /// Only what checks the outcome can be left out without harm; a fence only by two people's word.
    pub fn skip(self) -> Skip {
        match self {
            Step::Route | Step::Verify => Skip::Anybody,
            Step::Fence => Skip::Two,
            _ => Skip::Nobody,
        }
    }

    /// How it is taken back, when the execution is given up.
    pub fn undo(self) -> Option<&'static str> {
        match self {
            Step::Hold => Some("the gates serve again"),
            Step::HandOver => Some("the active site takes its right to write back"),
            Step::Pin => Some("what was pinned is dropped"),
            _ => None,
        }
    }

    /// Makes the step. It looks at the world first, so that it can be made again after a crash.
    pub async fn make(
        self,
        application: &Arc<Application>,
        execution: &mut Execution,
    ) -> Result<String, StepError> {
        match self {
            Step::Check => steps::check::make(application, execution).await,
            Step::Hold => steps::hold::make(application, execution).await,
            Step::Fence => steps::fence::make(application, execution).await,
            Step::HandOver => steps::hand_over::make(application, execution).await,
            Step::Drain => steps::drain::received(application, execution).await,
            Step::DrainToEnd => steps::drain::to_end(application, execution).await,
            Step::Pin => steps::pin::make(application, execution).await,
            Step::Claim => steps::claim::make(application, execution).await,
            Step::Promote => steps::promote::make(application, execution).await,
            Step::Route => steps::route::make(application, execution).await,
            Step::Verify => steps::verify::make(application, execution).await,
        }
    }
}
