//! What agents tell people and each other, and are asked: the JSON of the API. The CLI and the lab
//! read these types as well.

mod alerts;
mod approval;
mod comparing;
mod execution;
mod links;
mod names;
mod pause;
mod plan;
mod problem;
mod repair;
mod returning;
mod run;
mod runbooks;
mod salvage;
mod status;
mod watching;

pub use alerts::{Alerts, NotifierView, TestRequest, Tested, Tried};
pub use approval::{ApprovalRequest, Begun, Forced, RequestId, RequestState};
pub use comparing::{
    CompareRequest, ComparisonState, ComparisonView, Equality, EqualityView, ProvedAt, Recheck,
    Rechecks,
};
pub use execution::{Execution, ExecutionKind, ExecutionState, StepRecord, StepState};
pub use links::{ContinueRequest, Continued};
pub use names::{AnswerView, NameView, ServerView, SignedView, Trace, TraceQuery, keys_in_words};
pub use pause::{PauseRequest, PauseView, Paused, ResumeRequest, Resumed};
pub use plan::{MoveRequest, Plan, PlannedStep, Readiness, Refusal};
pub use problem::{Problem, ProblemKind};
pub use repair::{RepairRequest, RepairState, RepairSummary, UndoRequest};
pub use returning::{Return, ReturnMeans, ReturnPhase, ReturnProgress, ReturnRequest};
pub use run::{RunAnswered, RunRequest};
pub use runbooks::{RunbookView, StepView};
pub use salvage::{
    DecisionRequest, Inexact, RejectSummary, ReplayRequest, ReplaySummary, SalvageStates,
    SalvageSummary,
};
pub use status::{ApplicationStatus, CoordinatorView, LinkView, ReadsView, SiteView, Status};
pub use watching::{ClientsView, ProbeView, VantageView, WatchingView};

use serde::{Deserialize, Serialize};

/// Any refusal or failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiError {
    pub code: String,
    pub message: String,
    pub advice: String,
}
