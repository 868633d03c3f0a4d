//! What the people of this machine may ask, over the Unix socket. Who may open the socket may do
//! everything; it belongs to the user that runs the agent.

use super::agent::Agent;
use super::alerts::{Alerts, TestRequest, Tested};
use super::moves::begin;
use super::pause::{PauseRequest, Paused, ResumeRequest, Resumed};
use super::plan::PlanQuery;
use super::reply::{Reply, file, reply};
use super::types::{
    CompareRequest, ComparisonView, ContinueRequest, Continued, Execution, ExecutionKind,
    MoveRequest, Plan, RepairRequest, RepairSummary, Return, ReturnRequest, Status, UndoRequest,
};
use crate::error::{AgentError, Refused};
use crate::known::LagSample;
use crate::serve::Person;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};

pub fn router(agent: Agent) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/plan", get(plan))
        .route("/v1/switchover", post(switchover))
        .route("/v1/failover", post(failover))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/executions", get(executions))
        .route("/v1/executions/{id}", get(execution))
        .route("/v1/repair", post(repair))
        .route("/v1/repair/undo", post(undo))
        .route("/v1/repairs", get(repairs))
        .route("/v1/repairs/{id}", get(one_repair))
        .route("/v1/repairs/{id}/rows", get(repair_rows))
        .route("/v1/compare", post(compare).get(comparison))
        .route("/v1/link/continue", post(go_on))
        .route("/v1/return/continue", post(go_on_inexact))
        .route("/v1/lag", get(lag))
        .route("/v1/alerts", get(alerts))
        .route("/v1/alerts/test", post(test_alerts))
        .route("/metrics", get(metrics))
        .merge(super::salvage::router())
        .with_state(agent)
}

/// Only the metrics, for a scraper over the network.
pub fn metrics_router(agent: Agent) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(agent)
}

async fn status(State(agent): State<Agent>) -> Json<Status> {
    Json(super::status::status(&agent.context, &agent.applications))
}

async fn plan(State(agent): State<Agent>, Query(query): Query<PlanQuery>) -> Reply<Plan> {
    reply(super::plan::at_target(&agent, &query)).await
}

async fn switchover(
    State(agent): State<Agent>,
    Extension(person): Extension<Person>,
    Json(request): Json<MoveRequest>,
) -> Reply<Execution> {
    let request = MoveRequest { by: Some(person.name().await), ..request };
    reply(begin(&agent, ExecutionKind::Switchover, &request)).await
}

async fn failover(
    State(agent): State<Agent>,
    Extension(person): Extension<Person>,
    Json(request): Json<MoveRequest>,
) -> Reply<Execution> {
    let request = MoveRequest { by: Some(person.name().await), ..request };
    reply(begin(&agent, ExecutionKind::Failover, &request)).await
}

async fn pause(
    State(agent): State<Agent>,
    Extension(person): Extension<Person>,
    Json(request): Json<PauseRequest>,
) -> Reply<Paused> {
    reply(super::pause::begin(&agent, person, &request)).await
}

async fn resume(
    State(agent): State<Agent>,
    Extension(person): Extension<Person>,
    Json(request): Json<ResumeRequest>,
) -> Reply<Resumed> {
    reply(super::pause::end(&agent, person, &request)).await
}

async fn executions(State(agent): State<Agent>) -> Reply<Vec<Execution>> {
    reply(all_executions(&agent)).await
}

/// This agent's executions, and the newest that other agents tell of.
async fn all_executions(agent: &Agent) -> Result<Vec<Execution>, Refused> {
    let mut all: Vec<Execution> = Vec::new();
    for application in agent.applications.values() {
        let name = &application.spec.name;
        all.extend(application.context.memory.executions(name).await.map_err(unreadable)?);
        let known = application.known();
        let told = known.views.values().filter_map(|(_, view)| view.execution.clone());
        all.extend(told.collect::<Vec<_>>());
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.started_micros));
    all.dedup_by(|a, b| a.id == b.id);
    Ok(all)
}

async fn execution(State(agent): State<Agent>, Path(id): Path<String>) -> Reply<Execution> {
    reply(async {
        let found = all_executions(&agent).await?.into_iter().find(|it| it.id == id);
        found.ok_or_else(|| {
            Refused::new(
                "MS-AGENT-013",
                format!("there is no execution {id:?}"),
                "list them with `mainstay executions`",
            )
        })
    })
    .await
}

async fn compare(
    State(agent): State<Agent>,
    Json(request): Json<CompareRequest>,
) -> Reply<ComparisonView> {
    reply(super::comparison::begin(&agent, &request)).await
}

async fn comparison(
    State(agent): State<Agent>,
    Query(request): Query<CompareRequest>,
) -> Reply<ComparisonView> {
    reply(super::comparison::state(&agent, &request)).await
}

async fn repair(
    State(agent): State<Agent>,
    Json(request): Json<RepairRequest>,
) -> Reply<RepairSummary> {
    reply(super::repair::begin(&agent, &request)).await
}

async fn undo(
    State(agent): State<Agent>,
    Json(request): Json<UndoRequest>,
) -> Reply<RepairSummary> {
    reply(super::repair::undo(&agent, &request)).await
}

async fn repairs(State(agent): State<Agent>) -> Reply<Vec<RepairSummary>> {
    reply(super::repair::list(&agent)).await
}

async fn one_repair(State(agent): State<Agent>, Path(id): Path<String>) -> Reply<RepairSummary> {
    reply(super::repair::one(&agent, &id)).await
}

async fn repair_rows(State(agent): State<Agent>, Path(id): Path<String>) -> Response {
    match super::repair::find_here(&agent, &id).await {
        Ok((application, _)) => file(crate::act::repair::open(&application, &id)),
        Err(refused) => (StatusCode::NOT_FOUND, Json(refused.to_api())).into_response(),
    }
}

async fn go_on_inexact(
    State(agent): State<Agent>,
    Json(request): Json<ReturnRequest>,
) -> Reply<Return> {
    reply(super::returning::at_returning(&agent, &request)).await
}

async fn go_on(
    State(agent): State<Agent>,
    Json(request): Json<ContinueRequest>,
) -> Reply<Continued> {
    reply(super::links::at_receiver(&agent, &request)).await
}

async fn alerts(State(agent): State<Agent>) -> Json<Alerts> {
    Json(super::alerts::list(&agent))
}

async fn test_alerts(
    State(agent): State<Agent>,
    Extension(person): Extension<Person>,
    Json(request): Json<TestRequest>,
) -> Reply<Tested> {
    reply(async { super::alerts::test(&agent, &request, &person.name().await).await }).await
}

pub fn unreadable(why: AgentError) -> Refused {
    Refused::new("MS-AGENT-003", why.to_string(), "look at the disk of the state folder")
}

async fn lag(State(agent): State<Agent>) -> Json<Vec<LagSample>> {
    let samples = agent.applications.values().flat_map(|application| {
        application.known().lag_samples.iter().cloned().collect::<Vec<_>>()
    });
    Json(samples.collect())
}

async fn metrics(State(agent): State<Agent>) -> impl IntoResponse {
    let text = crate::metrics::render(&agent.context, &agent.applications);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
